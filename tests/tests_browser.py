"""A page in headless Chromium, asked through its debugging port."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import shutil
import subprocess
import time
import urllib.request
from contextlib import contextmanager

import numpy as np
from PIL import Image

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-background-networking",
    "--disable-component-update",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--remote-debugging-port=0",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
)


class Page:
    """A tab; it sees nothing but this machine."""

    def __init__(self, socket_url):
        self._url = socket_url

    def open(self, url):
        """Begin to load an address."""
        assert "errorText" not in self._ask("Page.navigate", url=url)

    def evaluate(self, script):
        """What a script gives."""
        answer = self._ask("Runtime.evaluate", expression=script, returnByValue=True)
        return answer["result"].get("value")

    def screenshot(self, path=None):
        """What is seen, (Y, X, 3)."""
        data = base64.b64decode(self._ask("Page.captureScreenshot", format="png")["data"])
        if path is not None:
            path.write_bytes(data)
        return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))

    def wait(self, condition, seconds=150):
        """Ask again and again until a condition of the page holds."""
        deadline = time.monotonic() + seconds
        while not (found := condition(self)):
            assert time.monotonic() < deadline, f"the page never came that far: {self.evaluate('document.body.innerText')}"
            time.sleep(0.5)
        return found

    def _ask(self, method, **parameters):
        return asyncio.run(self._asked(method, parameters))

    async def _asked(self, method, parameters):
        from tornado.websocket import websocket_connect

        socket = await websocket_connect(self._url, max_message_size=2**28)
        await socket.write_message(json.dumps({"id": 1, "method": method, "params": parameters}))
        while (answer := json.loads(await socket.read_message())).get("id") != 1:
            pass
        socket.close()
        while await socket.read_message() is not None:
            pass
        return answer["result"]


@contextmanager
def opened(url, profile, size=(1200, 900)):
    """A page that is loading."""
    command = [BROWSER, *FLAGS, f"--user-data-dir={profile}", f"--window-size={size[0]},{size[1]}", "about:blank"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        told = profile / "DevToolsActivePort"
        deadline = time.monotonic() + 60
        while not (told.is_file() and len(told.read_text().split()) > 1):
            assert process.poll() is None, "the browser ended"
            assert time.monotonic() < deadline
            time.sleep(0.1)
        with urllib.request.urlopen(f"http://127.0.0.1:{told.read_text().split()[0]}/json/list") as answer:
            tabs = json.load(answer)
        page = Page(next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"))
        page.open(url)
        yield page
    finally:
        process.kill()
        process.wait()
