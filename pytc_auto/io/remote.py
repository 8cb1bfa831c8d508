"""Volumes at a URL: where they lie, and their small files. Reached through tensorstore."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from pytc_auto.errors import DataError
from pytc_auto.io.volume import CACHE_BYTES

_URL = re.compile(r"(https?|s3|gs):/{1,2}([^/]+)/?(.*)", re.DOTALL)

_RETRIES = {"max_retries": 3, "initial_delay": "200ms", "max_delay": "2s"}
_CONTEXT = {f"{name}_request_retries": _RETRIES for name in ("http", "s3", "gcs")}
_process: int | None = None


@dataclass(frozen=True)
class Url:
    """A place in a remote store, with the few methods of a path that readers of metadata need."""

    text: str

    def __str__(self) -> str:
        return self.text

    def __truediv__(self, inside: str) -> Url:
        return Url(f"{self.text}/{inside}") if inside else self

    @property
    def name(self) -> str:
        """The last part."""
        return self.text.rpartition("/")[2]

    @property
    def parent(self) -> Url:
        """What is above it, down to the host or bucket."""
        above = self.text.rpartition("/")[0]
        return self if above.endswith("/") else Url(above)

    def absolute(self) -> Url:
        """The same."""
        return self

    def is_file(self) -> bool:
        """Whether something is stored here."""
        return self._read() is not None

    def read_text(self, encoding: str = "utf-8") -> str:
        """What is stored here."""
        found = self._read()
        if found is None:
            raise FileNotFoundError(str(self))
        return found.decode(encoding)

    def _read(self) -> bytes | None:
        try:
            found = _folder(self.parent).read(self.name).result()
        except ValueError as error:
            raise DataError(f"{self}: cannot be reached ({error}). Check the address and the connection.") from error
        return None if found.state == "missing" else bytes(found.value)


Folder = Path | Url


def is_url(path: str | Path) -> bool:
    """Whether a path names a remote volume; a ``Path`` made of a URL has one slash fewer and is known, too."""
    return _URL.match(str(path)) is not None


def locate_url(path: str | Path) -> tuple[Url, str | None]:
    """The place that a URL names, and the key after the last colon of its path where there is one."""
    found = _URL.match(str(path))
    assert found is not None
    scheme, host, inside = found.groups()
    place, colon, key = inside.rpartition(":")
    place = place if colon else inside
    return Url(f"{scheme}://{host}/{place.strip('/')}".rstrip("/")), key if colon else None


def unlisted(url: Url, key: str) -> DataError:
    """What is said of a remote group whose arrays are not known."""
    return DataError(
        f"{url}: holds no array{f' {key}' if key else ''}, and a remote group cannot be searched. Name the array as {url}:KEY."
    )


def kvstore(folder: Folder) -> str | dict[str, str]:
    """Where tensorstore finds the files of a folder."""
    if isinstance(folder, Url):
        return f"{folder}/"
    return {"driver": "file", "path": f"{folder.absolute()}/"}


def tensorstore() -> Any:
    """The library, for use in this process.

    Raises:
        DataError: This process was forked from one that used it; its threads are gone.
    """
    global _process  # noqa: PLW0603
    if is_forked():
        raise DataError("N5, precomputed and remote volumes cannot be opened in a forked process. Open them before the fork.")
    import tensorstore as library

    _process = os.getpid()
    return library


def is_forked() -> bool:
    """Whether tensorstore was used before this process was forked, so that it cannot be used in it."""
    return _process not in (None, os.getpid())


@lru_cache(maxsize=1)
def context() -> Any:
    """How often is tried again, and how much is kept of what was read."""
    return tensorstore().Context(context_json())


def context_json() -> dict[str, Any]:
    """The same, as another process can be told."""
    return {**_CONTEXT, "cache_pool": {"total_bytes_limit": CACHE_BYTES}}


def _folder(url: Url) -> Any:
    return tensorstore().KvStore.open(kvstore(url), context=context()).result()
