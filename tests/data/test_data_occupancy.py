import numpy as np
import pytest
from samples import region

from pytc_auto.data.occupancy import occupancy
from pytc_auto.data.volumes import LabelledVolume
from pytc_auto.geometry import Box
from pytc_auto.io.volume import ArrayVolume
from pytc_auto.schema.plan import ClassLabels, InstanceLabels

CLASSES = ClassLabels(kind="classes", values={0: "out", 7: "in", 5: "rare", 9: "nowhere"}, unlabeled=[])
INSTANCES = InstanceLabels(kind="instances", background=[0, 3], unlabeled=[4], erode_nm=0.0)
SHAPE = (9, 40, 300)


def volumes(values=(0, 7), rare=None):
    rng = np.random.default_rng(0)
    labels = np.zeros(SHAPE, np.uint8)
    labels[:4, :20] = rng.choice(values, (4, 20, SHAPE[2]))
    for voxel in rare or []:
        labels[voxel] = 5
    volume = ArrayVolume(labels)
    return [LabelledVolume("small", volume, volume, 0, (2,))]


@pytest.mark.parametrize("voxel_size_nm", [(30.0, 5.0, 5.0), (10.0, 10.0, 10.0), (8.0, 9.0, 24.0)])
def test_the_table_equals_a_count_per_block(voxel_size_nm):
    part = region(Box((1, 3, 5), (9, 38, 299)))
    data = volumes(rare=[(1, 30, 200), (8, 37, 298), (2, 5, 5), (0, 0, 0)])
    found = occupancy(data, [part], CLASSES, voxel_size_nm)
    assert found.classes == (1, 2)
    fine = min(voxel_size_nm)
    assert found.block == tuple(round(16 * fine / s) for s in voxel_size_nm)
    labels = data[0].labels.array_zyx.copy()
    labels[2] = 0
    inside = labels[part.box.slices]
    for row, value in enumerate((7, 5)):
        wanted = np.zeros(found.tables[0].shape[1:], bool)
        for voxel in np.argwhere(inside == value):
            wanted[tuple(voxel // found.block)] = True
        np.testing.assert_array_equal(found.tables[0][row], wanted)


def test_classes_and_their_voxels_are_drawn_alike():
    regions = [region(Box((0, 0, 0), (9, 40, 100))), region(Box((0, 0, 150), (9, 40, 300)))]
    rare = [(1, 30, 60), (6, 35, 200), (6, 3, 299), (6, 3, 120)]
    found = occupancy(volumes(rare=rare), regions, CLASSES, (30.0, 5.0, 5.0))
    rng = np.random.default_rng(1)
    hits = []
    for _ in range(400):
        drawn, voxel = found.draw_voxel(rng)
        assert drawn.box.contains(Box.of_shape((1, 1, 1), voxel))
        value = volumes(rare=rare)[0].labels.array_zyx[voxel]
        assert value in (7, 5)
        hits.append(voxel if value == 5 else None)
    assert 0.4 < np.mean([h is not None for h in hits]) < 0.6
    assert {h for h in hits if h} == set(rare[:3])


def test_foreground_is_what_is_neither_background_nor_unlabeled():
    labels = np.zeros(SHAPE, np.uint64)
    labels[0] = 3
    labels[1] = 4
    labels[2] = 8
    labels[5, 10, 10] = 2**60
    data = [LabelledVolume("small", ArrayVolume(labels), ArrayVolume(labels), 0, (2,))]
    found = occupancy(data, [region(Box.of_shape(SHAPE))], INSTANCES, (10.0, 10.0, 10.0))
    assert found.tables[0].sum() == 1
    assert found.draw_voxel(np.random.default_rng(0))[1] == (5, 10, 10)


def test_without_foreground_nothing_is_drawn():
    labels = np.zeros(SHAPE, np.uint8)
    data = [LabelledVolume("small", ArrayVolume(labels), ArrayVolume(labels))]
    found = occupancy(data, [region(Box.of_shape(SHAPE))], INSTANCES, (10.0, 10.0, 10.0))
    assert found.classes == ()
    assert found.draw_voxel(np.random.default_rng(0)) is None
