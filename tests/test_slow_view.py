"""pytc view from the command line, looked at with a browser; run by make test-slow."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import h5py
import numpy as np
import pytest
from tests_browser import BROWSER, opened

from pytc_auto.io.ome_zarr import create_image, create_labels
from pytc_auto.io.pyramid import add_pyramid
from pytc_auto.phantom import make_phantom

pytestmark = [pytest.mark.slow, pytest.mark.skipif(BROWSER is None, reason="no browser")]
SIZE = (40.0, 12.0, 12.0)
LAYERS = "[...document.querySelectorAll('.neuroglancer-layer-item-label')].map(label => label.textContent).join()"
COLORED = 30
"""Gray values by which the colors of a pixel differ."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set, and an output that was made from a part of it."""
    folder, tissue = tmp_path_factory.mktemp("view"), make_phantom((16, 90, 200), SIZE, seed=3)
    for name, array in (("images", tissue.image_zyx), ("labels", tissue.neurons_zyx)):
        (folder / "data" / name).mkdir(parents=True)
        with h5py.File(folder / "data" / name / "a.h5", "w") as file:
            file.create_dataset("main", data=array, chunks=True).attrs["resolution"] = SIZE
    out, segmentation = folder / "out", tissue.neurons_zyx[:, 20:, :]
    where = {"voxel_size_nm": SIZE, "translation_nm": (0.0, 240.0, 0.0)}
    where["attributes"] = {"input": f"{folder / 'data/images/a.h5'}:main"}
    image = create_image(out, shape_czyx=(3, *segmentation.shape), chunks=(1, 64, 64, 64), dtype="uint8", **where)
    image[...] = np.stack([tissue.image_zyx[:, 20:]] * 3)
    create_labels(out, "segmentation", shape=segmentation.shape, chunks=(64,) * 3, dtype="uint32", **where)[...] = segmentation
    add_pyramid(out, kind="image", levels=add_pyramid(out / "labels/segmentation", kind="labels"))
    (out / ".pytc").mkdir()
    (out / ".pytc" / "job.json").write_text("{}")
    return folder


def colored(page):
    """The share of the page's pixels that are in color, once it does not change any more."""
    seen = []

    def settled(page):
        pixels = page.screenshot().astype(int)
        seen.append(float((np.ptp(pixels, axis=2) > COLORED).mean()))
        return len(seen) > 2 and seen[-1] > 0.03 and seen[-3:] == [seen[-1]] * 3

    page.wait(settled)
    return seen[-1]


@pytest.mark.parametrize(("what", "layers"), [("out", "raw,prediction,segmentation"), ("data", "raw a,labels a")])
def test_layers_and_segments_are_drawn(folder, tmp_path, what, layers):
    command = [sys.executable, "-c", "from pytc_auto.cli import main; main()", "view", str(folder / what), "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        told = [process.stdout.readline() for _ in range(3)]
        assert told[2] == "Ctrl-C ends it.\n"
        assert told[0] == f"Layers: {layers.replace(',', ', ')}\n"
        url = re.fullmatch(r"Look at (http://127\.0\.0\.1:\d+/v/\w+/)\n", told[1])[1]
        with opened(url, tmp_path) as page:
            assert page.wait(lambda page: page.evaluate(LAYERS)) == layers
            assert colored(page) > 0.1
            page.screenshot(tmp_path / "page.png")
    finally:
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert rest == ""
    assert process.returncode == 0
