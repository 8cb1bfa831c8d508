from __future__ import annotations

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from samples import CPU

from pytc_auto.fingerprint.measure import measure
from pytc_auto.fingerprint.remarks import remarks
from pytc_auto.phantom import make_phantom
from pytc_auto.planning.planner import make_plan
from pytc_auto.report.page import MOST_SHOWN, write_report
from pytc_auto.report.slices import scale_bar
from pytc_auto.schema.dataset import Dataset, VolumeEntry

SIZE = (40.0, 10.0, 8.0)
SHAPE = (20, 48, 64)


class Page(HTMLParser):
    """The texts, the tags, and what is loaded from where."""

    def __init__(self, text):
        super().__init__()
        self.text, self.tags, self.links = [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in ("src", "href", "xlink:href", "srcset", "action")]

    def handle_data(self, data):
        self.text.append(data)

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def _volume(folder, name, image, labels, size=SIZE):
    np.save(folder / f"image_{len(list(folder.iterdir()))}.npy", image)
    entry = {"name": name, "image": str(sorted(folder.glob("image_*"), key=lambda p: p.stat().st_mtime_ns)[-1]), "labels": None}
    if labels is not None:
        path = folder / f"labels_{len(list(folder.iterdir()))}.npy"
        np.save(path, labels)
        entry["labels"] = str(path)
    return VolumeEntry(**entry, voxel_size_nm=size, axes="zyx", unlabeled_sections=[])


def _report(folder, volumes):
    """The report's text, its page, and its path."""
    dataset = Dataset(root=str(folder), task=None, unlabeled=[], class_names={}, volumes=volumes)
    measured = measure(dataset, name="tissue")
    plan = make_plan(measured.fingerprint, CPU)
    write_report(measured, plan, remarks(measured), folder / "run" / "report.html")
    text = (folder / "run" / "report.html").read_text(encoding="utf-8")
    return text, Page(text), plan


@pytest.fixture(scope="module")
def tissue():
    return make_phantom(SHAPE, SIZE, seed=1)


def test_data_and_plan_are_on_one_page_that_needs_nothing_else(tmp_path, tissue):
    image = tissue.image_zyx.copy()
    image[13] = (image[13] * 0.25).astype(image.dtype)
    text, page, plan = _report(tmp_path, [_volume(tmp_path, "stack1", image, tissue.neurons_zyx)])
    assert all(link.startswith(("data:image/jpeg;base64,", "#")) for link in page.links)
    assert not {"script", "link", "iframe", "object"} & set(page.tags)
    assert "@import" not in text
    assert "url(http" not in text
    assert len([link for link in page.links if link.startswith("data:")]) == 6
    assert re.search(r"Section 13 of stack1 is 7\d % darker than its neighbors\.", page.words)
    for words in (
        "section along z",
        "gray value",
        "shift, nm",
        "dark",
        "diameter of a ball of the same volume, nm",
        "zx at y 24",
        "receptive field",
        "an output voxel depends on",
        "The network's stages, fine to coarse",
    ):
        assert words in page.words, words
    for field, why in plan.why.items():
        assert f"{field} " in page.words
        assert why.rule in page.words
    assert not list((tmp_path / "run").glob(".*"))


def test_planes_have_their_true_proportions(tmp_path, tissue):
    text, _, _ = _report(tmp_path, [_volume(tmp_path, "a", tissue.image_zyx, tissue.neurons_zyx)])
    z, y, x = (n * s for n, s in zip(SHAPE, SIZE, strict=True))
    found = [float(n) for n in re.findall(r"aspect-ratio: ([\d.]+)", text)]
    assert found[::2] == found[1::2] == pytest.approx([x / y, x / z, y / z], abs=1e-3)


@pytest.mark.parametrize(("width", "bar"), [(2500.0, 500.0), (700.0, 200.0), (40.0, 10.0), (12000.0, 2000.0)])
def test_scale_bars_are_round(width, bar):
    assert scale_bar(width) == pytest.approx(bar)


def test_names_are_escaped(tmp_path, tissue):
    text, page, _ = _report(tmp_path, [_volume(tmp_path, "<b>&amp;", tissue.image_zyx, tissue.neurons_zyx)])
    assert "<b>" not in text
    assert "<b>&amp;" in page.words


def test_of_many_volumes_the_first_are_shown(tmp_path, tissue):
    small = tissue.image_zyx[:, :32, :40], tissue.neurons_zyx[:, :32, :40]
    volumes = [_volume(tmp_path, f"v{i}", *small) for i in range(MOST_SHOWN + 2)]
    _, page, _ = _report(tmp_path, volumes)
    assert page.tags.count("h2") == MOST_SHOWN + 3
    assert "And 2 more volumes" in page.words


def test_an_image_without_labels_and_labels_without_objects(tmp_path, tissue):
    mask = np.where(tissue.mitochondria_zyx > 0, 255, 0).astype(np.uint8)
    volumes = [_volume(tmp_path, "mask", tissue.image_zyx, mask), _volume(tmp_path, "bare", tissue.image_zyx, None)]
    _, page, _ = _report(tmp_path, volumes)
    assert sum(link.startswith("data:") for link in page.links) >= 4 + 3
    assert "no labels" in page.words
    assert "None" not in page.words


def test_images_of_floats(tmp_path, tissue):
    image = tissue.image_zyx.astype(np.float32) / 255 - 0.5
    image[3, 4, 5] = np.nan
    _, page, _ = _report(tmp_path, [_volume(tmp_path, "a", image, tissue.neurons_zyx)])
    assert "share of the voxels, %" not in page.words
    assert "mean ± deviation" in page.words


def test_flat_images_have_one_plane_and_no_curves(tmp_path, tissue):
    volumes = [_volume(tmp_path, f"v{i}", tissue.image_zyx[i : i + 1], tissue.neurons_zyx[i : i + 1]) for i in range(2)]
    text, page, _ = _report(tmp_path, volumes)
    assert text.count("aspect-ratio: ") == 4
    assert "section along" not in page.words
