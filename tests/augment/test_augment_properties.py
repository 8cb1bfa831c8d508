"""Whatever happens to a crop: shapes, dtypes and ids stay, and the crop that came in is as it was."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pytc_auto.augment.compose import apply_effects, draw_effects, source_box
from pytc_auto.augment.crop import Crop
from pytc_auto.geometry import Box, symmetry_group
from pytc_auto.planning.augmentation import every_effect
from pytc_auto.schema.augmentation import Augmentation, Effects
from pytc_auto.schema.fingerprint import SectionFacts

UNKNOWN = SectionFacts(**dict.fromkeys(SectionFacts.model_fields))
DTYPES = (np.uint8, np.uint16, np.int32, np.uint64)


def arrays(crop):
    return crop.image_zyx, crop.labels_zyx, crop.unlabeled_zyx


@st.composite
def cases(draw):
    """A crop of any extents and voxel size with any of the effects, each of which happens."""
    shape = tuple(draw(st.lists(st.integers(2, 17), min_size=3, max_size=3)))
    size = tuple(draw(st.sampled_from([4.0, 5.0, 9.0, 30.0, 45.0])) for _ in range(3))
    names = draw(st.sets(st.sampled_from(list(Effects.model_fields)), min_size=1, max_size=6))
    every = every_effect(UNKNOWN, size, [round(1000 / s) for s in size])
    effects = Effects(**{name: getattr(every, name).replace(probability=draw(st.sampled_from([0.5, 1.0]))) for name in names})
    return shape, size, effects, draw(st.sampled_from(DTYPES)), draw(st.integers(0, 2**20))


@settings(max_examples=150, deadline=None)
@given(cases())
def test_every_effect_keeps_shapes_dtypes_and_ids_and_its_input(case):
    shape, size, effects, dtype, seed = case
    rng = np.random.default_rng(seed)
    group = symmetry_group(size, shape)
    draw = draw_effects(Augmentation(symmetries=len(group), effects=effects), group, size, shape, rng)
    source = source_box(draw, Box.of_shape(shape)).shape
    ids = np.array([0, 0, 0, np.iinfo(dtype).max, np.iinfo(dtype).max - 1], dtype)
    crop = Crop(
        rng.standard_normal(source, dtype=np.float32),
        ids[rng.integers(0, ids.size, [-(-n // 3) for n in source])]
        .repeat(3, 0)
        .repeat(3, 1)
        .repeat(3, 2)[tuple(slice(n) for n in source)],
        rng.random(source) < 0.05,
    )
    before = [a.copy() for a in arrays(crop)]
    got = apply_effects(crop, draw)
    assert [a.shape for a in arrays(got)] == [shape] * 3
    assert [a.dtype for a in arrays(got)] == [np.float32, dtype, np.bool_]
    assert np.isfinite(got.image_zyx).all()
    assert set(np.unique(got.labels_zyx).tolist()) <= {0, *ids.tolist()}
    for array, old in zip(arrays(crop), before, strict=True):
        np.testing.assert_array_equal(array, old)
