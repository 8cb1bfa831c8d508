from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest

from pytc_auto.io.dataset import find_dataset
from pytc_auto.io.section_numbers import missing_numbers, section_numbers

SECTION = np.arange(20, dtype=np.uint8).reshape(4, 5)


def stack(root, images, labels):
    (root / "dataset.yaml").write_text("voxel_size_nm: [40, 5, 4]\nstack: true\n", encoding="utf-8")
    for side, names in (("images", images), ("labels", labels)):
        (root / side / "s").mkdir(parents=True)
        for name in names:
            (root / side / "s" / name).write_bytes(imagecodecs.png_encode(SECTION))
    return find_dataset(root).remarks


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["a_08.png", "a_09.png", "a_10.png"], [8, 9, 10]),
        (["day2_z3.png", "day2_z5.png"], [3, 5]),
        (["z1_t1.png", "z2_t2.png"], None),
        (["a1.png", "b2.png"], None),
        (["a.png", "b.png"], None),
        (["only7.png"], None),
        ([], None),
    ],
)
def test_the_number_that_differs_counts(names, numbers):
    assert section_numbers([Path(name) for name in names]) == numbers


@pytest.mark.parametrize(
    ("numbers", "missing"),
    [
        ([1, 2, 3, 4, 6, 9], [5, 7, 8]),
        ([0, 10, 20, 40], [30]),
        ([0, 1, 2, 4, 5, 7], [3, 6]),
        ([5, 6, 7], []),
        ([4], []),
        ([1, 1, 2], []),
        ([2, 9, 30], []),
    ],
)
def test_numbers_that_are_left_out(numbers, missing):
    assert missing_numbers(numbers) == missing


def test_a_gap_in_the_numbers_is_told(tmp_path):
    names = [f"sec_{i}.png" for i in (1, 2, 3, 4, 6, 7)]
    (remark,) = stack(tmp_path, names, names)
    assert remark.startswith(f"{tmp_path / 'images/s'}: of the numbers 1 to 7 in the names of its sections 5 is missing.")
    assert "put a blank section (all 0) for each" in remark


def test_labels_numbered_otherwise_are_told(tmp_path):
    (remark,) = stack(tmp_path, [f"{i:03d}.png" for i in range(4)], [f"{i:03d}.png" for i in range(1, 5)])
    assert "They are taken in order: 000.png with 001.png." in remark


def test_whole_stacks_need_no_remark(tmp_path):
    assert stack(tmp_path, ["im_9.png", "im_10.png", "im_11.png"], ["l_09.png", "l_10.png", "l_11.png"]) == []
