"""Effects that act on whole sections, for each cutting axis."""

import numpy as np
import pytest

from pytc_auto.augment.missing_section import MissingDraw, apply_missing_section, draw_missing_section
from pytc_auto.augment.place import Place
from pytc_auto.augment.section_intensity import apply_section_intensity, draw_section_intensity
from pytc_auto.augment.section_shift import ShiftDraw, apply_section_shift, draw_section_shift, shift_margin
from pytc_auto.schema.augmentation import MissingSection, SectionGrayValues, SectionShift

SHAPE = (6, 9, 12)
CUTS = {0: (40.0, 5.0, 4.0), 1: (5.0, 40.0, 4.0), 2: (5.0, 4.0, 40.0)}
cutting = pytest.mark.parametrize("axis", CUTS)


def place(axis):
    return Place.of(SHAPE, CUTS[axis])


def sections(array, axis):
    return np.moveaxis(array, axis, 0)


@cutting
def test_intensity_is_one_line_per_section(axis, make_crop):
    image = make_crop(SHAPE).image_zyx
    before = image.copy()
    effect = SectionGrayValues(probability=1.0, contrast=0.3, brightness=0.4)
    draw = draw_section_intensity(effect, place(axis), np.random.default_rng(0))
    assert draw.axis == axis
    changed = apply_section_intensity(image, draw)
    assert changed.dtype == np.float32
    lines = [np.polyfit(a.ravel(), b.ravel(), 1) for a, b in zip(sections(image, axis), sections(changed, axis), strict=True)]
    for (slope, shift), a, b in zip(lines, sections(image, axis), sections(changed, axis), strict=True):
        np.testing.assert_allclose(b, a * slope + shift, atol=1e-4)
        assert 0.7 <= slope <= 1.3
        assert -0.4 <= shift <= 0.4
    assert len({round(float(slope), 6) for slope, _ in lines}) == SHAPE[axis]
    np.testing.assert_array_equal(image, before)


@cutting
def test_missing_sections_are_blank_and_the_others_as_they_were(axis, make_crop):
    image = make_crop(SHAPE).image_zyx
    before = image.copy()
    blank = np.arange(SHAPE[axis]) % 3 == 1
    lost = np.ones_like(sections(image, axis)[:1], bool)
    where = {int(n): np.moveaxis(lost, 0, axis) for n in np.flatnonzero(blank)}
    changed = apply_missing_section(image, MissingDraw(place(axis), where, ()))
    assert (sections(changed, axis)[blank] == image.min()).all()
    np.testing.assert_array_equal(sections(changed, axis)[~blank], sections(image, axis)[~blank])
    np.testing.assert_array_equal(image, before)


@cutting
def test_sections_are_missing_at_the_given_rate(axis):
    draws = [draw_missing_section(MissingSection(probability=0.2), place(axis), np.random.default_rng(i)) for i in range(400)]
    assert {d.place.axis for d in draws if d} == {axis}
    assert all(lost.all() for d in draws if d for lost in d.blank.values())
    rate = sum(len(d.blank) for d in draws if d) / (400 * SHAPE[axis])
    assert 0.16 < rate < 0.24
    assert draw_missing_section(MissingSection(probability=1.0), place(axis), np.random.default_rng(0)) is None
    assert draw_missing_section(MissingSection(probability=0.0), place(axis), np.random.default_rng(0)) is None


def shifted(axis, step):
    offset = [2, -3, 1]
    offset[axis] = 0
    draw = ShiftDraw(axis, section=3, offset=tuple(offset), turn=None, step=step)
    larger = tuple(n + 2 * m for n, m in zip(SHAPE, shift_margin(draw, SHAPE), strict=True))
    return draw, larger


@cutting
@pytest.mark.parametrize("step", [False, True], ids=["slip", "step"])
def test_only_the_chosen_sections_move_and_only_in_the_plane(axis, step, make_crop):
    draw, larger = shifted(axis, step)
    crop = make_crop(larger)
    before = crop.image_zyx.copy(), crop.labels_zyx.copy(), crop.unlabeled_zyx.copy()
    got = apply_section_shift(crop, draw, SHAPE)
    still = crop.inner(SHAPE)
    rolled = np.roll(crop.image_zyx, draw.offset, (0, 1, 2)), np.roll(crop.labels_zyx, draw.offset, (0, 1, 2))
    index = tuple(slice(m, m + n) for m, n in zip(shift_margin(draw, SHAPE), SHAPE, strict=True))
    moves = np.arange(SHAPE[axis]) >= 3 if step else np.arange(SHAPE[axis]) == 3
    np.testing.assert_array_equal(sections(got.image_zyx, axis)[moves], sections(rolled[0][index], axis)[moves])
    np.testing.assert_array_equal(sections(got.image_zyx, axis)[~moves], sections(still.image_zyx, axis)[~moves])
    labels = rolled[1][index] if step else still.labels_zyx
    np.testing.assert_array_equal(sections(got.labels_zyx, axis)[moves], sections(labels, axis)[moves])
    np.testing.assert_array_equal(sections(got.labels_zyx, axis)[~moves], sections(still.labels_zyx, axis)[~moves])
    if not step:
        np.testing.assert_array_equal(got.unlabeled_zyx, still.unlabeled_zyx)
    for array, old in zip((crop.image_zyx, crop.labels_zyx, crop.unlabeled_zyx), before, strict=True):
        np.testing.assert_array_equal(array, old)


@cutting
def test_the_shift_is_drawn_in_the_plane_and_in_nm(axis):
    effect = SectionShift(probability=1.0, shift_nm=20.0)
    draws = [draw_section_shift(effect, place(axis), np.random.default_rng(i)) for i in range(300)]
    happened = [d for d in draws if d]
    assert len(happened) > 200
    assert 0.4 < np.mean([d.step for d in happened]) < 0.6
    for draw in happened:
        assert draw.axis == axis
        assert draw.offset[axis] == 0
        assert np.linalg.norm(np.array(draw.offset) * CUTS[axis]) <= 20 + np.linalg.norm(np.sort(CUTS[axis])[:2]) / 2
        assert (1 if draw.step else 0) <= draw.section < SHAPE[axis]
    reach = np.max([np.abs(d.offset) for d in happened], axis=0)
    assert all(reach[i] >= 0.8 * 20 / CUTS[axis][i] - 1 for i in range(3) if i != axis)


def test_a_shift_needs_two_sections_and_luck():
    effect = SectionShift(probability=1.0, shift_nm=20.0)
    assert draw_section_shift(effect, Place.of((1, 9, 12), CUTS[0]), np.random.default_rng(0)) is None
    never = SectionShift(probability=0.0, shift_nm=20.0)
    assert draw_section_shift(never, place(0), np.random.default_rng(0)) is None
    short = SectionShift(probability=1.0, shift_nm=1.0)
    assert draw_section_shift(short, place(0), np.random.default_rng(0)) is None
    gray = SectionGrayValues(probability=0.0, contrast=0.1, brightness=0.1)
    assert draw_section_intensity(gray, place(0), np.random.default_rng(0)) is None
