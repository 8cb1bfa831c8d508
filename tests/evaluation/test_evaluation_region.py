from __future__ import annotations

import numpy as np
import pytest

from pytc_auto.errors import DataError
from pytc_auto.evaluation.region import common_region
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume

SIZE = (40.0, 8.0, 6.0)
WORLD = np.arange(12 * 13 * 14, dtype=np.uint16).reshape(12, 13, 14)


def part(start, stop, *, offset=True, size=SIZE, name="part.h5"):
    """A box of the world that tells where it begins."""
    volume = ArrayVolume(WORLD[Box(start, stop).slices], voxel_size_nm=size, source=name)
    if offset:
        volume.offset_nm = tuple(a * s for a, s in zip(start, SIZE, strict=True))
    return volume


def same_voxels(region):
    voxels = region.read(region.box)
    np.testing.assert_array_equal(voxels.segmentation_zyx, voxels.truth_zyx)
    return voxels.truth_zyx


@pytest.mark.parametrize(
    ("found", "truth", "common"),
    [
        (((0, 0, 0), (12, 13, 14)), ((3, 2, 1), (7, 8, 9)), ((3, 2, 1), (7, 8, 9))),
        (((3, 2, 1), (7, 8, 9)), ((0, 0, 0), (12, 13, 14)), ((3, 2, 1), (7, 8, 9))),
        (((0, 4, 2), (6, 13, 9)), ((2, 0, 5), (12, 7, 14)), ((2, 4, 5), (6, 7, 9))),
        (((0, 0, 0), (6, 6, 6)), ((1, 2, 3), (7, 8, 9)), ((1, 2, 3), (6, 6, 6))),
    ],
    ids=["truth inside", "segmentation inside", "they overlap", "of one shape"],
)
def test_offsets_place_the_volumes(found, truth, common):
    region = common_region(part(*found), part(*truth))
    np.testing.assert_array_equal(same_voxels(region), WORLD[Box(*common).slices])
    assert region.box == Box(*common).relative_to(truth[0])


def test_one_voxel_size_is_enough():
    region = common_region(part((0, 0, 0), (12, 13, 14), size=None), part((3, 2, 1), (7, 8, 9)))
    np.testing.assert_array_equal(same_voxels(region), WORLD[3:7, 2:8, 1:9])
    assert region.voxel_size_nm == SIZE


def test_labels_that_tell_an_offset_lie_in_a_volume_that_tells_none():
    region = common_region(part((0, 0, 0), (12, 13, 14), offset=False), part((3, 2, 1), (7, 8, 9)))
    np.testing.assert_array_equal(same_voxels(region), WORLD[3:7, 2:8, 1:9])
    with pytest.raises(DataError, match=r"part\.h5: has shape \[5, 8, 9\], but truth\.h5 has \[4, 6, 8\].*attribute offset"):
        common_region(part((0, 0, 0), (5, 8, 9), offset=False), part((3, 2, 1), (7, 8, 9), name="truth.h5"))


def test_a_part_that_tells_an_offset_lies_in_labels_that_tell_none():
    truth = part((0, 0, 0), (12, 13, 14), offset=False, name="truth.h5")
    region = common_region(part((3, 2, 1), (7, 8, 9)), truth, box=Box((4, 2, 3), (7, 8, 9)))
    np.testing.assert_array_equal(same_voxels(region), WORLD[4:7, 2:8, 3:9])
    short = part((0, 0, 0), (6, 8, 9), offset=False, name="truth.h5")
    with pytest.raises(DataError, match=r"part\.h5: has shape \[4, 6, 8\], but truth\.h5 has \[6, 8, 9\].*attribute offset"):
        common_region(part((3, 2, 1), (7, 8, 9)), short)


def test_without_offsets_the_shapes_must_agree():
    told, untold = part((3, 2, 1), (7, 8, 9)), part((3, 2, 1), (7, 8, 9), offset=False)
    for pair in ((untold, untold), (told, untold), (untold, told)):
        assert common_region(*pair).box == Box.of_shape((4, 6, 8))
        np.testing.assert_array_equal(same_voxels(common_region(*pair)), WORLD[3:7, 2:8, 1:9])
    for small in (part((0, 0, 0), (4, 6, 7), offset=False), part((0, 0, 2), (4, 6, 9))):
        with pytest.raises(DataError, match=r"has shape \[4, 6, 7\], but part\.h5 has \[4, 6, 8\]"):
            common_region(small, untold)


def test_what_does_not_fit_is_refused():
    truth = part((3, 2, 1), (7, 8, 9), name="truth.h5")
    with pytest.raises(DataError, match=r"no voxel in common with truth\.h5: it covers \[-3:0, -2:11, -1:13\]"):
        common_region(part((0, 0, 0), (3, 13, 14)), truth)
    with pytest.raises(DataError, match=r"has voxels of 40 x 8 x 8 nm \(z, y, x\), but truth\.h5 has 40 x 8 x 6 nm"):
        common_region(part((0, 0, 0), (12, 13, 14), size=(40.0, 8.0, 8.0)), truth)
    half = part((0, 0, 0), (12, 13, 14))
    half.offset_nm = (0.0, 4.0, 0.0)
    with pytest.raises(DataError, match=r"begins -3, -1\.5, -1 voxels .* from truth\.h5"):
        common_region(half, truth)


def test_box_and_border_are_voxels_of_the_labels():
    region = common_region(
        part((0, 0, 0), (12, 13, 14)), part((3, 2, 1), (11, 10, 12)), box=Box((1, 0, 2), (7, 8, 11)), border=(1, 2, 3)
    )
    assert region.box == Box((2, 2, 5), (6, 6, 8))
    np.testing.assert_array_equal(same_voxels(region), WORLD[5:9, 4:8, 6:9])


def test_a_box_or_a_border_that_leaves_nothing_is_refused():
    whole = part((0, 0, 0), (12, 13, 14))
    for box in (Box((0, 0, 0), (12, 13, 15)), Box((2, 2, 2), (2, 5, 5))):
        with pytest.raises(DataError, match=r"--box: .* is not a part of \[0:12, 0:13, 0:14\]"):
            common_region(whole, whole, box=box)
    with pytest.raises(DataError, match=r"--border: \[6, 0, 0\] voxels"):
        common_region(whole, whole, border=(6, 0, 0))
    assert common_region(whole, whole, border=(5, 6, 6)).box.shape == (2, 1, 2)


def test_the_mask_is_placed_as_the_segmentation_is():
    truth, mask = part((3, 2, 1), (11, 10, 12)), part((0, 0, 0), (12, 13, 14))
    mask.array_zyx = WORLD % 3
    region = common_region(part((0, 0, 0), (12, 13, 14)), truth, ignore=mask, box=Box((0, 0, 0), (8, 8, 9)))
    np.testing.assert_array_equal(region.read(region.box).ignore_zyx, WORLD[3:11, 2:10, 1:10] % 3 > 0)
    inner = region.read(region.box).inside(Box((1, 2, 3), (2, 4, 6)))
    np.testing.assert_array_equal(inner.segmentation_zyx, WORLD[4:5, 4:6, 4:7])
    np.testing.assert_array_equal(inner.truth_zyx, inner.segmentation_zyx)
    assert inner.ignore_zyx.shape == (1, 2, 3)
    with pytest.raises(DataError, match=r"mask\.h5: the mask covers \[0:4, 0:8, 0:11\] of the labels' grid, but \[0:8,"):
        common_region(truth, truth, ignore=part((3, 2, 1), (7, 10, 12), name="mask.h5"))
