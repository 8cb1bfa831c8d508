from __future__ import annotations

import functools
import http.server
import json
import os
import re
import subprocess
import sys
import threading
import urllib.parse
from pathlib import Path

import numpy as np
import pytest
import zarr
from samples import small_plan

from pytc_auto.data.volumes import open_volumes
from pytc_auto.errors import DataError
from pytc_auto.geometry import Box
from pytc_auto.io.dataset import find_dataset
from pytc_auto.io.open import format_of, locate, open_volume, stem
from pytc_auto.io.remote import Url, is_url

SHAPE = (5, 13, 17)
VOXEL_SIZE_NM = (40.0, 6.5, 4.25)
BOX = Box((1, 2, 3), (4, 11, 8))


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, in part where a part is asked for."""

    def translate_path(self, path):
        inside = re.sub(r"^/(storage/v1/b/)?bucket/(o/)?", "/", urllib.parse.unquote(path))
        return super().translate_path(inside)

    def send_head(self):
        wanted = self.headers.get("Range")
        path = Path(self.translate_path(self.path))
        if not wanted or not path.is_file():
            return super().send_head()
        first, last = (int(n) for n in wanted.removeprefix("bytes=").split("-"))
        data = path.read_bytes()[first : last + 1]
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{first + len(data) - 1}/{path.stat().st_size}")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        return None

    def end_headers(self):
        self.send_header("x-goog-generation", "1")
        self.send_header("ETag", '"1"')
        super().end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(tmp_path))) as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{made.server_port}"
        made.shutdown()
        thread.join()


REMOTE = {
    "zarr_2": "a.zarr:volumes/raw",
    "zarr_3": "a.zarr",
    "ome_zarr_4": "a.ome.zarr",
    "ome_zarr_5": "a.ome.zarr",
    "n5": "a.n5:volumes/raw",
    "precomputed": "a",
    "sharded_precomputed": "a",
}


@pytest.mark.parametrize("name", REMOTE)
def test_read_in_place(name, server, tmp_path, array, writers):
    local = open_volume(writers[name](tmp_path, array))
    volume = open_volume(f"{server}/{REMOTE[name]}")
    assert (volume.shape, volume.dtype, volume.voxel_size_nm) == (SHAPE, np.dtype("uint16"), VOXEL_SIZE_NM)
    assert (volume.chunks, volume.offset_nm, volume.levels_nm) == (local.chunks, local.offset_nm, local.levels_nm)
    np.testing.assert_array_equal(volume.read(volume.box), array)
    np.testing.assert_array_equal(open_volume(volume.source).read(BOX), array[BOX.slices])


def test_the_url_of_the_array_itself(server, tmp_path, array, writers):
    writers["zarr_2"](tmp_path, array)
    for path in (f"{server}/a.zarr/volumes/raw", f"{server}/a.zarr/volumes/raw/"):
        np.testing.assert_array_equal(open_volume(path).read(BOX), array[BOX.slices])


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_read_in_a_forked_process(server, tmp_path, array, writers):
    writers["n5"](tmp_path, array)
    volume = open_volume(f"{server}/a.n5:volumes/raw")
    volume.read(BOX)
    child = os.fork()
    if child == 0:
        try:
            same = [(volume.read(box) == array[box.slices]).all() for box in (BOX, volume.box)]
            os._exit(0 if all(same) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.filterwarnings("ignore:This process.*is multi-threaded:DeprecationWarning")
def test_opened_in_a_forked_process(tmp_path, array, writers):
    path = writers["precomputed"](tmp_path, array)
    open_volume(path)
    child = os.fork()
    if child == 0:
        try:
            open_volume(path)
        except DataError as error:
            os._exit(0 if "Open them before the fork" in str(error) else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.mark.parametrize("scheme", ["gs", "s3"])
def test_buckets(scheme, server, tmp_path, array, writers):
    """The server stands in for the storage, in a process that is told so."""
    writers["n5"](tmp_path, array)
    code = """
import sys
from pytc_auto.io import n5, remote
from pytc_auto.io.open import open_volume

def local(url):
    return {"driver": "s3", "endpoint": sys.argv[2], "aws_region": "here", "bucket": "bucket", "path": str(url)[12:] + "/"}

if sys.argv[1].startswith("s3"):
    n5.kvstore = remote.kvstore = local
volume = open_volume(sys.argv[1])
sys.stdout.buffer.write(volume.read(volume.box).tobytes())
"""
    told = {"TENSORSTORE_GCS_HTTP_URL": server, "GCE_METADATA_ROOT": server.removeprefix("http://")}
    command = [sys.executable, "-c", code, f"{scheme}://bucket/a.n5:volumes/raw", server]
    ran = subprocess.run(command, check=False, capture_output=True, env={**os.environ, **told}, timeout=60)
    assert ran.returncode == 0, ran.stderr.decode()[-3000:]
    found = ran.stdout
    np.testing.assert_array_equal(np.frombuffer(found, array.dtype).reshape(array.shape), array)


def test_a_group_without_a_list_needs_a_key(server, tmp_path, array, writers):
    for name, path in (("zarr_2", "a.zarr"), ("n5", "a.n5")):
        writers[name](tmp_path, array)
        (tmp_path / "a.n5" / "attributes.json").parent.mkdir(exist_ok=True)
        (tmp_path / "a.n5" / "attributes.json").write_text('{"n5": "2.0.0"}')
        with pytest.raises(DataError, match=rf"{path}: holds no array, and a remote group cannot be searched. .* as http.*:KEY"):
            open_volume(f"{server}/{path}")
        with pytest.raises(DataError, match=rf"{path}: holds no array none, and"):
            open_volume(f"{server}/{path}:none")


@pytest.mark.filterwarnings("ignore:Consolidated metadata")
@pytest.mark.parametrize("version", [2, 3])
def test_a_consolidated_group_is_listed(server, tmp_path, array, version):
    group = zarr.open_group(store=str(tmp_path / "a.zarr"), mode="w", zarr_format=version)
    for name in ("raw", "seg"):
        group.create_array(f"volumes/{name}", shape=array.shape, dtype=array.dtype)[...] = array
    zarr.consolidate_metadata(str(tmp_path / "a.zarr"))
    with pytest.raises(DataError, match=r"several data sets: volumes/raw \(5, 13, 17\), volumes/seg"):
        open_volume(f"{server}/a.zarr")
    np.testing.assert_array_equal(open_volume(f"{server}/a.zarr:volumes/seg").read(BOX), array[BOX.slices])


def test_nothing_there(server, tmp_path):
    with pytest.raises(DataError, match=r"none: is no zarr, N5 or precomputed volume.*Check it, or download it"):
        open_volume(f"{server}/none")
    (tmp_path / "a.h5").write_bytes(b"")
    with pytest.raises(DataError, match=r"a.h5: is no zarr"):
        open_volume(f"{server}/a.h5")


def test_no_server():
    with pytest.raises(DataError, match=r"http://127.0.0.1:9/a/zarr.json: cannot be reached .*Check the address"):
        open_volume("http://127.0.0.1:9/a")


def test_a_server_that_answers_all_with_a_page(server, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "zarr.json").write_text("<html>404</html>")
    with pytest.raises(
        DataError, match=r"/a: cannot be read .*Check the address and the connection; if they are right, it is damaged"
    ):
        open_volume(f"{server}/a")


def test_a_chunk_that_is_damaged(server, tmp_path, array, writers):
    path = writers["precomputed"](tmp_path, array)
    volume = open_volume(f"{server}/a")
    info = json.loads((path / "info").read_text())
    for chunk in (path / info["scales"][0]["key"]).iterdir():
        chunk.write_bytes(b"damage")
    with pytest.raises(
        DataError, match=r"/a: cannot be read .*Check the address and the connection; if they are right, it is damaged"
    ):
        volume.read(volume.box)


@pytest.mark.parametrize(
    ("path", "url", "key"),
    [
        ("https://host/a.zarr", "https://host/a.zarr", None),
        ("https://host:80/a.zarr/", "https://host:80/a.zarr", None),
        ("http://host:80/a.zarr:b/c", "http://host:80/a.zarr", "b/c"),
        ("s3://bucket/a/b:c", "s3://bucket/a/b", "c"),
        ("gs://bucket", "gs://bucket", None),
        (Path("https://host:80/a.zarr:b/c"), "https://host:80/a.zarr", "b/c"),
    ],
)
def test_locate(path, url, key):
    assert is_url(path)
    assert locate(path) == (Url(url), key)


@pytest.mark.parametrize("path", ["a.zarr", "/a/b:c", "file:///a", "ftp://host/a", "https://", "http:///a"])
def test_what_is_no_url(path):
    assert not is_url(path)


def test_a_url_is_like_a_path(server, tmp_path, array, writers):
    writers["n5"](tmp_path, array)
    url = Url(f"{server}/a.n5")
    assert format_of(Url(f"{server}/a.n5")) == "n5"
    assert stem(url) == "a"
    assert (url / "b").parent == url
    assert Url("s3://bucket").parent == Url("s3://bucket")
    with pytest.raises(FileNotFoundError):
        (url / "none").read_text()


def test_a_data_set_of_remote_volumes(server, tmp_path):
    rng = np.random.default_rng(0)
    stored = {name: rng.integers(0, 200, SHAPE, dtype=np.uint8) for name in ("image", "labels")}
    for name, array in stored.items():
        made = zarr.create_array(store=str(tmp_path / f"{name}.zarr"), shape=SHAPE, chunks=(2, 8, 8), dtype="uint8")
        made[...] = array
        made.attrs["resolution"] = VOXEL_SIZE_NM
    entry = {"name": "far", "image": f"{server}/image.zarr", "labels": f"{server}/labels.zarr"}
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "dataset.yaml").write_text(json.dumps({"volumes": [entry]}))
    dataset = find_dataset(tmp_path / "set").dataset
    assert dataset.volumes[0].image.startswith(f"{server}/image.zarr")
    (volume,) = open_volumes(dataset, small_plan(voxel_size_nm=VOXEL_SIZE_NM), memory_bytes=0)
    np.testing.assert_array_equal(volume.read_image(BOX), stored["image"][BOX.slices])
    np.testing.assert_array_equal(volume.read_labels(BOX).labels_zyx, stored["labels"][BOX.slices])
