"""What must hold for any data set: hypothesis draws voxel sizes, extents and facts."""

from __future__ import annotations

import itertools
import math

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from samples import CPU, fingerprint

from pytc_auto.errors import BudgetError
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.memory import memory_bytes
from pytc_auto.planning.patch import FLAT, MOST_VOXELS, PatchFamily
from pytc_auto.planning.planner import make_plan
from pytc_auto.planning.scale import FINE_IN_PLANE_NM
from pytc_auto.schema.plan import Machine, Plan

SETTINGS = settings(max_examples=80, deadline=None)
VAST = Machine(memory_gb=1e6, device="cuda", seconds=None, seconds_per_step=1e-6, precision="bf16", source="preset")


@st.composite
def voxel_sizes(draw):
    """1 to 1000 nm, anisotropy 0.2 to 20, any axis the coarse one."""
    fine = draw(st.floats(1, 1000))
    other = fine * draw(st.one_of(st.just(1.0), st.floats(1, 1.3)))
    coarse = fine * draw(st.one_of(st.just(1.0), st.floats(0.2, 20)))
    size = [coarse, fine, other]
    assume(max(size) <= 1000 and min(size) >= 1)
    turn = draw(st.integers(0, 2))
    return tuple(size[turn:] + size[:turn])


def extents():
    long = st.integers(16, 100_000)
    return st.one_of(st.tuples(st.integers(1, 100_000), long, long), st.tuples(long, long, st.integers(1, 100_000)))


def small():
    return st.tuples(st.integers(1, 60), st.integers(16, 60), st.integers(16, 60))


@st.composite
def data_sets(draw):
    facts = {
        "touching_fraction": draw(st.sampled_from([None, 0.0, 1.0])),
        "foreground_fraction": draw(st.sampled_from([None, 0.001, 0.5, 1.0])),
        "solidity": draw(st.sampled_from([None, 0.3, 0.95])),
        "border_fraction": draw(st.sampled_from([0.0, 0.9])),
        "missing_rate": draw(st.sampled_from([None, 0.0, 0.2])),
        "volumes": draw(st.sampled_from([1, 2, 7])),
    }
    return fingerprint(voxel_size_nm=draw(voxel_sizes()), shape=draw(st.one_of(st.none(), extents(), small())), **facts)


@SETTINGS
@given(facts=data_sets(), preset=st.sampled_from("SML"))
def test_a_plan_is_always_valid(facts, preset):
    plan = make_plan(facts, PRESETS[preset])
    assert Plan.parse(plan.model_dump(mode="json"), "again") == plan
    assert all(n % d == 0 for n, d in zip(plan.patch, plan.network.divisor, strict=True))
    assert len(plan.network.strides) >= 2
    assert math.prod(plan.patch) <= MOST_VOXELS
    assert all(abs(o) < n for offset in plan.offsets for o, n in zip(offset, plan.patch, strict=True))
    needed = memory_bytes(plan.network, plan.patch, plan.channels, plan.sampling.batch)
    assert needed == plan.memory.bytes <= plan.machine.memory_gb * 1e9
    if (shape := facts.volumes[0].shape) is not None:
        assert all(n <= math.ceil(e / s) for n, e, s in zip(plan.patch, shape, plan.working_scale, strict=True))
    assert plan.why.keys() >= set(Plan.model_fields) - {"format_version", "name", "machine", "voxel_size_nm", "why"}


@SETTINGS
@given(facts=data_sets(), seconds=st.floats(60, 1e6), speed=st.floats(0.01, 10), precision=st.sampled_from(["fp32", "bf16"]))
def test_a_cpu_gets_its_steps_inside_the_time_or_is_refused(facts, seconds, speed, precision):
    machine = CPU.replace(seconds=seconds, seconds_per_step=speed, precision=precision)
    try:
        plan = make_plan(facts, machine)
    except BudgetError:
        return
    steps = plan.sampling.steps + plan.sampling.refit_steps
    numbers = plan.why["sampling"].numbers
    assert steps >= 1500 or (steps >= 300 and plan.network.features[0] == {"fp32": 8, "bf16": 16}[precision])
    assert steps * numbers["seconds_per_step"] * 0.99 < 0.9 * seconds
    assert plan.sampling.batch == 1


@SETTINGS
@given(size=voxel_sizes(), extent=st.one_of(st.none(), extents()), finer=st.floats(0.1, 0.999), wanted=st.floats(600, 2000))
def test_finer_voxels_never_shrink_the_patch(size, extent, finer, wanted):
    coarse = next(PatchFamily(size, extent).patches(wanted))
    fine = next(PatchFamily(tuple(s * finer for s in size), extent).patches(wanted))
    assert all(f >= c for f, c in zip(fine, coarse, strict=True))


@SETTINGS
@given(size=voxel_sizes(), extent=st.one_of(st.none(), extents()), finer=st.floats(0.1, 0.999))
def test_finer_voxels_never_shrink_the_plans_patch(size, extent, finer):
    smaller = tuple(s * finer for s in size)
    assume(min(smaller) >= 1 and min(smaller) > FINE_IN_PLANE_NM)
    coarse, fine = (make_plan(fingerprint(voxel_size_nm=s, shape=extent), VAST) for s in (size, smaller))
    assert coarse.working_scale == fine.working_scale == (1, 1, 1)
    assert all(f >= c for f, c in zip(fine.patch, coarse.patch, strict=True))


@SETTINGS
@given(facts=data_sets(), memory=st.floats(6, 100), more=st.floats(1, 4), device=st.sampled_from(["cpu", "cuda"]))
def test_more_memory_never_shrinks_the_field_of_view(facts, memory, more, device):
    machine = Machine(memory_gb=memory, device=device, seconds=None, seconds_per_step=0.01, precision="bf16", source="measured")
    little = make_plan(facts, machine)
    ample = make_plan(facts, machine.replace(memory_gb=memory * more))
    assert all(a >= b for a, b in zip(ample.patch, little.patch, strict=True))


@SETTINGS
@given(
    size=st.builds(
        lambda y, more, ratio: (y * more * ratio, y, y * more), st.floats(1, 50), st.floats(1.01, 1.3), st.floats(1.01, 20)
    ),
    extent=st.builds(lambda z, y, more: (z, y, y + more), *[st.integers(16, 5000)] * 3),
    seconds=st.sampled_from([None, 1800.0, 1e5]),
)
def test_swapping_y_and_x_swaps_the_plan(size, extent, seconds):
    def swapped(triple):
        return triple[0], triple[2], triple[1]

    machine = CPU.replace(seconds=seconds)
    try:
        one = make_plan(fingerprint(voxel_size_nm=size, shape=extent), machine)
    except BudgetError:
        return
    two = make_plan(fingerprint(voxel_size_nm=swapped(size), shape=swapped(extent)), machine)
    assert one.patch == swapped(two.patch)
    for field in ("strides", "kernels"):
        assert getattr(one.network, field) == [swapped(t) for t in getattr(two.network, field)]
    assert sorted(one.offsets) == sorted(swapped(o) for o in two.offsets)
    assert one.sampling == two.sampling
    assert one.augmentation.effects.affine.rotation_degrees == swapped(two.augmentation.effects.affine.rotation_degrees)


@SETTINGS
@given(size=voxel_sizes(), wanted=st.floats(600, 5000), shorter=st.floats(0.3, 1))
def test_patches_of_a_family_are_ordered(size, wanted, shorter):
    family = PatchFamily(size, None)
    longer, less = family.patch(wanted), family.patch(wanted * shorter)
    assert all(a >= b for a, b in zip(longer, less, strict=True))
    patches = list(family.patches(wanted))
    assert all(all(b <= a for a, b in zip(one, two, strict=True)) for one, two in itertools.pairwise(patches))
    cut = max(range(3), key=lambda i: size[i])
    if size[cut] / math.sqrt(math.prod(size) / size[cut]) >= FLAT:
        assert patches[0][cut] <= 32
