"""Every kind of network for every geometry: planned, or refused with the reason."""

from __future__ import annotations

import pytest
from samples import CPU, fingerprint

from pytc_auto.errors import PlanError
from pytc_auto.models.build import build_network
from pytc_auto.planning.by_hand import read_overrides
from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.memory import parameters
from pytc_auto.planning.planner import make_plan
from pytc_auto.planning.topology import halving_topology
from pytc_auto.schema.network import TRAITS
from pytc_auto.schema.plan import Plan

ALIKE = [kind for kind, traits in TRAITS.items() if not traits.anisotropic]
GEOMETRIES = {
    "isotropic": fingerprint(voxel_size_nm=(8.0, 8.0, 8.0), shape=(500, 600, 700)),
    "nearly isotropic": fingerprint(voxel_size_nm=(15.0, 9.0, 10.0), shape=(200, 300, 400)),
    "sections": fingerprint(voxel_size_nm=(40.0, 4.0, 5.0), shape=(125, 1250, 1000)),
    "thin": fingerprint(voxel_size_nm=(10.0, 10.0, 10.0), shape=(24, 400, 500)),
    "single section": fingerprint(voxel_size_nm=(50.0, 4.0, 4.0), shape=(1, 1000, 1200)),
}


def planned(kind, facts, machine, *more):
    return make_plan(facts, machine, by_hand=read_overrides([f"network.kind={kind}", *more]))


def able(kind, geometry):
    """Whether a kind can have the geometry: it halves all axes alike, or each as it is."""
    extent = {"thin": 16, "single section": 1}.get(geometry, 100)
    return TRAITS[kind].anisotropic or (geometry not in {"sections", "single section"} and extent >= TRAITS[kind].divides_by)


PAIRS = [(kind, geometry) for kind in TRAITS for geometry in GEOMETRIES]


@pytest.mark.parametrize("machine", [PRESETS["M"], CPU.replace(seconds=86400)], ids=["cuda", "cpu"])
@pytest.mark.parametrize(("kind", "geometry"), [pair for pair in PAIRS if able(*pair)])
def test_a_kind_is_planned(kind, geometry, machine):
    traits, facts = TRAITS[kind], GEOMETRIES[geometry]
    plan = planned(kind, facts, machine)
    assert plan.network.kind == kind
    assert all(n % d == 0 for n, d in zip(plan.patch, plan.network.divisor, strict=True))
    assert all(n <= e for n, e in zip(plan.patch, facts.volumes[0].shape, strict=True))
    assert plan.inference.window == 1 or not traits.one_extent
    assert Plan.parse(plan.model_dump(mode="json"), "again") == plan


@pytest.mark.parametrize(("kind", "geometry"), [pair for pair in PAIRS if not able(*pair)])
def test_or_refused_with_what_to_use(kind, geometry):
    with pytest.raises(PlanError, match=r"override: network.kind: .* Use unet, resenc, mednext, dynunet"):
        planned(kind, GEOMETRIES[geometry], PRESETS["M"])


@pytest.mark.parametrize("kind", ALIKE)
def test_the_reason_tells_sizes_and_what_to_use(kind):
    with pytest.raises(PlanError, match=rf"{kind} halves all axes alike, but voxels of 40 x 4 x 5 nm .* 10.0 times as long"):
        planned(kind, GEOMETRIES["sections"], PRESETS["M"])
    if TRAITS[kind].divides_by > 18:
        with pytest.raises(PlanError, match=rf"{kind} needs 32 voxels on each axis, the largest patch here is \[18, "):
            planned(kind, GEOMETRIES["thin"], PRESETS["M"])
    else:
        assert planned(kind, GEOMETRIES["thin"], PRESETS["M"]).patch[0] <= 18


def test_strides_by_hand_overrule_the_voxel_size():
    strides = "network.strides=[[1,1,1],[2,2,2],[2,2,2]]"
    plan = planned("segresnet", GEOMETRIES["sections"], PRESETS["M"], strides)
    assert plan.network.strides == [(1, 1, 1), (2, 2, 2), (2, 2, 2)]
    assert plan.patch[0] % 4 == 0
    with pytest.raises(PlanError, match=r"override: network.segresnet: segresnet halves all axes from stage to stage"):
        planned("segresnet", GEOMETRIES["isotropic"], PRESETS["M"], "network.strides=[[1,1,1],[1,2,2],[2,2,2]]")


@pytest.mark.parametrize("kind", TRAITS)
def test_what_is_planned_is_built_with_so_many_weights(kind):
    plan = planned(kind, GEOMETRIES["isotropic"], CPU.replace(seconds=86400))
    made = build_network(plan)
    assert sum(p.numel() for p in made.parameters()) == pytest.approx(parameters(plan.network, plan.outputs), rel=0.05)


def test_axes_are_halved_as_long_as_each_is_long_enough():
    assert halving_topology((96, 64, 128), 3, 6).divisor == (8, 8, 8)
    assert halving_topology((96, 96, 96), 3, 6).divisor == (16, 16, 16)
    assert halving_topology((96, 96, 96), 3, 4).divisor == (8, 8, 8)
    assert halving_topology((16, 32, 64), 5, 5).divisor == (16, 16, 16)
    assert halving_topology((13, 200, 200), 2, 4).divisor == (2, 2, 2)
