"""Effects of knife and microscope on single sections: only the chosen sections change, along each cutting axis."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from pytc_auto.augment.affine import affine_matrix
from pytc_auto.augment.artifact import apply_artifact, draw_artifact
from pytc_auto.augment.crop import Crop
from pytc_auto.augment.dropped_section import apply_dropped_section, draw_dropped_section, dropped_margin
from pytc_auto.augment.effects import GRAY_EFFECTS
from pytc_auto.augment.fold import FoldDraw, Line, apply_fold, draw_fold
from pytc_auto.augment.missing_section import MissingDraw, apply_missing_section, draw_missing_section
from pytc_auto.augment.motion_blur import MotionDraw, apply_motion_blur, line
from pytc_auto.augment.out_of_focus import apply_out_of_focus, draw_out_of_focus
from pytc_auto.augment.place import Place
from pytc_auto.augment.section_shift import ShiftDraw, apply_section_shift, draw_section_shift, shift_margin
from pytc_auto.augment.stripes import apply_stripes, draw_stripes
from pytc_auto.geometry import zyx
from pytc_auto.schema import augmentation as plan

SHAPES = {0: (8, 22, 27), 1: (22, 8, 27), 2: (22, 27, 8)}
SIZES = {0: (40.0, 5.0, 4.0), 1: (5.0, 40.0, 4.0), 2: (5.0, 4.0, 40.0)}
PER_SECTION = {
    "stripes": plan.Stripes(probability=0.3, strength=0.5, width_nm=20.0),
    "out_of_focus": plan.OutOfFocus(probability=0.3, sigma_nm=12.0),
    "motion_blur": plan.MotionBlur(probability=0.3, length_nm=30.0),
    "fold": plan.Fold(probability=0.3, width_nm=15.0),
    "artifact": plan.Artifact(probability=0.3, size_nm=60.0, strength=2.0),
    "missing_section": plan.MissingSection(probability=0.3, kinds=["blank", "partial", "duplicated"]),
}
cutting = pytest.mark.parametrize("axis", SHAPES)


def place(axis):
    return Place.of(SHAPES[axis], SIZES[axis])


def along(array, axis):
    return np.moveaxis(array, axis, 0)


@cutting
@pytest.mark.parametrize("name", PER_SECTION)
def test_each_section_is_hit_with_the_given_probability_and_the_others_stay(name, axis, make_crop):
    image = make_crop(SHAPES[axis]).image_zyx
    before, hits = image.copy(), []
    for seed in range(60):
        drawn = GRAY_EFFECTS[name].draw(PER_SECTION[name], place(axis), np.random.default_rng(seed))
        got = image if drawn is None else GRAY_EFFECTS[name].apply(image, drawn)
        assert got.dtype == np.float32
        hits.append((along(got, axis) != along(image, axis)).any(axis=(1, 2)).mean())
    assert 0.2 < np.mean(hits) < 0.4
    assert min(hits) < 0.15
    np.testing.assert_array_equal(image, before)


@cutting
@pytest.mark.parametrize("name", PER_SECTION)
def test_nothing_happens_with_probability_0(name, axis):
    never = PER_SECTION[name].replace(probability=0.0)
    assert GRAY_EFFECTS[name].draw(never, place(axis), np.random.default_rng(0)) is None


@cutting
def test_out_of_focus_is_a_gaussian_in_the_plane(axis, make_crop):
    image = make_crop(SHAPES[axis]).image_zyx
    draw = draw_out_of_focus(PER_SECTION["out_of_focus"], place(axis), np.random.default_rng(2))
    got = apply_out_of_focus(image, draw)
    for number, sigma in draw.sigmas.items():
        assert sigma[axis] == 0
        nm = [s * v for s, v in zip(sigma, SIZES[axis], strict=True) if s]
        assert nm[0] == pytest.approx(nm[1])
        assert 6 <= nm[0] <= 12
        wanted = along(gaussian_filter(image, sigma, mode="nearest", truncate=6), axis)[number]
        assert np.corrcoef(along(got, axis)[number].ravel(), wanted.ravel())[0, 1] > 0.99


@pytest.mark.parametrize(("angle", "extent"), [(0.0, (1, 7, 1)), (np.pi / 2, (1, 1, 9)), (np.pi / 4, (1, 5, 7))])
def test_motion_smears_along_a_line_of_the_length(angle, extent):
    weights = line(32.0, angle, place(0))
    assert weights.shape == extent
    assert weights.sum() == pytest.approx(1)
    image = np.zeros(SHAPES[0], np.float32)
    image[3, 11, 13] = 1
    got = apply_motion_blur(image, MotionDraw(place(0), {3: weights}))
    assert got.sum() == pytest.approx(1, abs=1e-5)
    assert not np.delete(got, 3, 0).any()
    np.testing.assert_allclose(
        got[3, 11 - extent[1] // 2 : 12 + extent[1] // 2, 13 - extent[2] // 2 : 14 + extent[2] // 2], weights[0]
    )


@cutting
def test_stripes_change_across_a_line_only_and_have_their_strength(axis):
    effect = plan.Stripes(probability=1.0, strength=0.5, width_nm=20.0)
    draw = draw_stripes(effect, place(axis), np.random.default_rng(1))
    assert sorted(draw.added) == list(range(8))
    got = apply_stripes(np.zeros(SHAPES[axis], np.float32), draw)
    for section in along(got, axis):
        assert 0.15 < section.std() <= 0.75
    distances = [place(axis).across(angle) for angle in np.linspace(0, np.pi, 181)]
    spread = []
    for distance in distances:
        bins = np.round(along(distance, axis)[0] / 6).astype(int)
        first = along(got, axis)[0]
        spread.append(np.mean([first[bins == b].std() for b in np.unique(bins)]))
    assert min(spread) < 0.15 * along(got, axis)[0].std()


def test_a_beam_makes_the_same_stripes_in_all_sections():
    isotropic = Place.of((9, 16, 20), (8.0, 8.0, 8.0))
    effect = plan.Stripes(probability=0.5, strength=0.5, width_nm=20.0)
    draws = [draw_stripes(effect, isotropic, np.random.default_rng(seed)) for seed in range(60)]
    happened = [d for d in draws if d]
    assert 15 < len(happened) < 45
    got = apply_stripes(np.zeros((9, 16, 20), np.float32), happened[0])
    assert (got == got[:1]).all()
    assert got.std() > 0.1


@pytest.mark.parametrize("tear", [True, False], ids=["tear", "fold"])
@cutting
def test_tissue_gives_way_at_the_line_and_nowhere_far_from_it(axis, tear):
    where, first = place(axis), place(axis).plane[0]
    steps = np.arange(SHAPES[axis][first], dtype=np.float32)
    ramp = np.broadcast_to(np.moveaxis(steps[:, None, None], 0, first), SHAPES[axis])
    width_nm = 2.5 * SIZES[axis][first]
    got = apply_fold(ramp, FoldDraw(where, {4: Line(angle=0.0, offset_nm=0.0, width_nm=width_nm, tear=tear)}))
    np.testing.assert_array_equal(np.delete(got, 4, axis), np.delete(ramp, 4, axis))
    off = along(got, axis)[4] - steps[:, None]
    away = steps - steps.mean()
    assert not off[np.abs(away) > 10].any()
    near = (np.abs(away) > 1.5) & (np.abs(away) < 5)
    outward = np.sign(away[near])[:, None] * off[near]
    assert (outward < 0).all() if tear else (outward > 0).all()
    band = along(got, axis)[4][np.abs(away) < 1.25]
    assert (band == ramp.max()).all() if tear else (band < steps[np.abs(away) < 1.25][:, None]).all()


@cutting
def test_a_stain_lies_within_its_size_and_fades_at_its_outline(axis):
    effect = plan.Artifact(probability=1.0, size_nm=40.0, strength=2.0)
    sizes = []
    for seed in range(20):
        got = apply_artifact(np.zeros(SHAPES[axis], np.float32), draw_artifact(effect, place(axis), np.random.default_rng(seed)))
        assert np.abs(got).max() <= 2
        for section in along(got, axis):
            assert (section >= 0).all() or (section <= 0).all()
            rows, columns = np.nonzero(section)
            if rows.size:
                plane = [SIZES[axis][i] for i in place(axis).plane]
                sizes.append(max(np.ptp(rows) * plane[0], np.ptp(columns) * plane[1]))
    assert 20 < np.median(sizes) < 60
    assert max(sizes) < 130


@cutting
def test_a_lost_section_shows_the_one_before_or_nothing(axis, make_crop):
    image = make_crop(SHAPES[axis]).image_zyx
    half = np.zeros_like(along(image, axis)[:1], bool)
    half[:, :4] = True
    draw = MissingDraw(place(axis), {2: np.moveaxis(half, 0, axis)}, (0, 5))
    got, old = along(apply_missing_section(image, draw), axis), along(image, axis)
    np.testing.assert_array_equal(got[5], old[4])
    np.testing.assert_array_equal(got[0], old[1])
    assert (got[2][half[0]] == image.min()).all()
    np.testing.assert_array_equal(got[2][~half[0]], old[2][~half[0]])
    np.testing.assert_array_equal(got[[1, 3, 4, 6, 7]], old[[1, 3, 4, 6, 7]])


@cutting
def test_a_part_of_a_section_is_neither_all_nor_nothing(axis):
    effect = plan.MissingSection(probability=0.4, kinds=["partial"])
    draws = [draw_missing_section(effect, place(axis), np.random.default_rng(seed)) for seed in range(40)]
    shares = [lost.mean() for d in draws if d for lost in d.blank.values()]
    assert len(shares) > 60
    assert 0 < min(shares) < 0.15
    assert 0.85 < max(shares) < 1


@cutting
def test_a_dropped_section_takes_its_labels_along(axis, make_crop):
    shape = SHAPES[axis]
    seen = set()
    for seed in range(30):
        draw = draw_dropped_section(plan.DroppedSection(probability=1.0), place(axis), np.random.default_rng(seed))
        larger = zyx([n + 2 * m for n, m in zip(shape, dropped_margin(draw), strict=True)])
        crop = make_crop(larger)
        got = apply_dropped_section(crop, draw, shape)
        kept = [n for n in range(1, 10) if n != draw.section + 1]
        for name in ("image_zyx", "labels_zyx", "unlabeled_zyx"):
            np.testing.assert_array_equal(along(getattr(got, name), axis), along(getattr(crop, name), axis)[kept])
        seen.add(draw.section)
    assert seen == set(range(1, 8))
    single = Place.of((1, 9, 9), (40.0, 5.0, 5.0))
    assert draw_dropped_section(plan.DroppedSection(probability=1.0), single, np.random.default_rng(0)) is None


@cutting
@pytest.mark.parametrize("step", [False, True], ids=["slip", "step"])
def test_a_section_turns_about_its_middle(axis, step):
    """A blob off the middle comes out where the rotation puts it, in nm."""
    shape, size = SHAPES[axis], np.array(SIZES[axis])
    angles = [0.0, 0.0, 0.0]
    angles[axis] = 0.6
    draw = ShiftDraw(axis, 3, (0, 0, 0), affine_matrix(angles, 1.0, place(axis)), step)
    larger = zyx([n + 2 * m for n, m in zip(shape, shift_margin(draw, shape), strict=True)])
    middle = (np.array(larger) - 1) / 2
    off = np.zeros(3)
    off[list(place(axis).plane)] = (18.0, -20.0)
    distance = sum(
        ((grid - m) * s - o) ** 2 for grid, m, s, o in zip(np.indices(larger), middle, size, off, strict=True) if s < 40
    )
    blob = np.exp(-distance / (2 * 8.0**2)).astype(np.float32)
    labels = (blob > 0.5).astype(np.uint64) * np.uint64(2**60 + 1)
    got = apply_section_shift(Crop(blob, labels, np.zeros(larger, bool)), draw, shape)
    source = draw.turn @ ((np.indices(shape) - ((np.array(shape) - 1) / 2)[:, None, None, None]).reshape(3, -1))
    wanted_distance = sum((source[i] * size[i] - off[i]) ** 2 for i in place(axis).plane)
    wanted = np.exp(-wanted_distance / (2 * 8.0**2)).reshape(shape)
    moved = along(np.arange(shape[axis])[:, None, None] * np.ones((1, 2, 2)), 0)[:, 0, 0]
    hit = moved >= 3 if step else moved == 3
    assert np.abs(along(got.image_zyx, axis)[hit] - along(wanted, axis)[hit]).max() < 0.1
    still = Crop(blob, labels, np.zeros(larger, bool)).inner(shape)
    np.testing.assert_array_equal(along(got.image_zyx, axis)[~hit], along(still.image_zyx, axis)[~hit])
    overlap = (along(got.labels_zyx, axis)[hit] > 0) == (along(wanted, axis)[hit] > 0.5)
    assert overlap.mean() > 0.97 if step else (got.labels_zyx == still.labels_zyx).all()
    assert (along(still.labels_zyx, axis)[hit] > 0).any()


@cutting
def test_the_turn_is_drawn_about_the_cutting_axis(axis):
    effect = plan.SectionShift(probability=1.0, shift_nm=0.0, rotation_degrees=10.0)
    draws = [draw_section_shift(effect, place(axis), np.random.default_rng(seed)) for seed in range(50)]
    for draw in draws:
        assert draw.offset == (0, 0, 0)
        np.testing.assert_allclose(draw.turn[axis], np.eye(3)[axis], atol=1e-12)
        first = place(axis).plane[0]
        assert np.cos(np.deg2rad(10)) <= draw.turn[first, first] <= 1
    assert draw_fold(plan.Fold(probability=0.0, width_nm=5.0), place(axis), np.random.default_rng(0)) is None
