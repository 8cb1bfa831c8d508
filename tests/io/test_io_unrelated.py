from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pytc_auto.geometry import Box
from pytc_auto.io.open import open_volume
from pytc_auto.io.unrelated import LEAST_ALIKE, MOST_SIDE, neighbour_correlation
from pytc_auto.io.volume import ArrayVolume


def images(stack):
    return [ArrayVolume(section[None]) for section in stack]


def real(data_folder, name):
    (path,) = (p for p in (data_folder / name / "train" / "images").iterdir())
    volume = open_volume(path)
    return volume.read(volume.box)


@pytest.mark.parametrize("name", ["vnc_mito", "isbi2012", "fib25"])
def test_real_stacks_and_unrelated_places_of_them(data_folder, name):
    stack = real(data_folder, name)[:20]
    assert neighbour_correlation(images(stack)) > 1.5 * LEAST_ALIKE
    y, x = (n // 2 for n in stack.shape[1:])
    quarters = [s[i * y : (i + 1) * y, j * x : (j + 1) * x] for k, s in enumerate(stack) for i, j in [divmod(k % 4, 2)]]
    found = neighbour_correlation(images(quarters))
    assert found < 0.5 * LEAST_ALIKE
    mixed = np.random.default_rng(0).permutation(len(quarters))
    assert neighbour_correlation(images([quarters[i] for i in mixed[:6]])) < LEAST_ALIKE


def test_uneven_illumination_is_no_likeness():
    tissue = gaussian_filter(np.random.default_rng(0).normal(size=(6, 200, 260)), (0, 4, 4))
    light = 120 * np.cos(np.linspace(-1.2, 1.2, 200))[:, None] * np.cos(np.linspace(-1.2, 1.2, 260))
    lit = 100 + 25 * tissue / tissue.std() + light
    assert np.corrcoef(lit[0].ravel(), lit[1].ravel())[0, 1] > 2 * LEAST_ALIKE
    assert neighbour_correlation(images(lit)) < 0.5 * LEAST_ALIKE


def test_blank_sections_and_other_sizes_are_passed_over():
    section = np.random.default_rng(0).integers(0, 255, (40, 50), dtype=np.uint8)
    blank = np.zeros_like(section)
    assert neighbour_correlation(images([blank, section, section, blank])) == pytest.approx(1)
    assert neighbour_correlation(images([blank, blank])) == 1
    assert neighbour_correlation(images([section, section[:30], section[:30]])) == pytest.approx(1)
    assert neighbour_correlation(images([section, section[:30], section[:20]])) is None


def test_of_large_images_the_middle_is_read():
    class Watched(ArrayVolume):
        def _read(self, box):
            boxes.append(box)
            return super()._read(box)

    boxes = []
    section = np.random.default_rng(0).integers(0, 255, (1, 100, MOST_SIDE + 30), dtype=np.uint8)
    neighbour_correlation([Watched(section), Watched(section)])
    assert boxes == [Box((0, 0, 15), (1, 100, MOST_SIDE + 15))] * 2


def test_few_pairs_of_a_long_stack_are_read():
    stack = np.random.default_rng(0).integers(0, 255, (50, 20, 30), dtype=np.uint8)
    reads = []

    class Counted(ArrayVolume):
        def _read(self, box):
            reads.append(box)
            return super()._read(box)

    neighbour_correlation([Counted(section[None]) for section in stack])
    assert len(reads) == 16
