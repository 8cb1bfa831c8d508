"""What each kind of network can be, and what is said to those that cannot."""

from __future__ import annotations

from typing import get_args

import pytest
from pydantic import TypeAdapter, ValidationError
from samples import small_plan

from pytc_auto.schema.network import TRAITS, Network
from pytc_auto.schema.network_v1 import AnyNetwork, V1Network
from pytc_auto.schema.plan import Plan

STEP = [[1, 1, 1], [1, 2, 2], [2, 2, 2]]
HALVED = [[1, 1, 1], [2, 2, 2], [2, 2, 2]]
TOPOLOGY = {"features": [4, 8, 16], "strides": HALVED, "kernels": [[3, 3, 3]] * 3, "blocks": [2, 2, 2]}
SWIN = {
    "features": [12, 12, 24, 48, 96, 192],
    "strides": [[1, 1, 1], *[[2, 2, 2]] * 5],
    "kernels": [[3, 3, 3]] * 6,
    "blocks": [1, 2, 2, 2, 2, 1],
}
UNETR = {
    "features": [4, 8, 16, 32, 64],
    "strides": [[1, 1, 1], *[[2, 2, 2]] * 4],
    "kernels": [[3, 3, 3]] * 5,
    "blocks": [1, 1, 1, 1, 12],
}
V1 = {
    "features": [8, 16, 24],
    "strides": [[1, 1, 1], [1, 2, 2], [1, 2, 2]],
    "kernels": [[1, 3, 3]] * 3,
    "blocks": [1, 1, 1],
    **{"outer": [1, 5, 5], "block": "residual", "norm": "bn", "activation": "elu", "padding": "replicate", "pooling": "stride"},
}
FPN = V1 | {
    "features": [8, 16, 24, 32, 40],
    "strides": [[1, 1, 1], *[[1, 2, 2]] * 4],
    "kernels": [[1, 3, 3]] * 5,
    "blocks": [1, 2, 2, 2, 2],
    "backbone": "resnet",
}
VALID = {
    "unet": TOPOLOGY,
    "resenc": TOPOLOGY,
    "mednext": TOPOLOGY | {"expansion": [2, 2, 2]},
    "dynunet": TOPOLOGY,
    "segresnet": TOPOLOGY,
    "swin_unetr": SWIN,
    "unetr": UNETR,
    "dints": TOPOLOGY | {"blocks": [1, 2, 2]},
    **dict.fromkeys(("v1_unet_3d", "v1_unet_plus_3d", "v1_unet_2d", "v1_unet_plus_2d"), V1),
    "v1_fpn_3d": FPN,
}
OWN = [kind for kind in VALID if not kind.startswith("v1_")]


def network(kind, **changes):
    return TypeAdapter(AnyNetwork).validate_python(VALID[kind] | {"kind": kind} | changes)


def refused(kind, **changes):
    with pytest.raises(ValidationError) as caught:
        network(kind, **changes)
    return str(caught.value)


def test_every_kind_is_declared_and_its_divisor_is_what_its_strides_make():
    kinds = [get_args(made.model_fields["kind"].annotation) for made in (Network, V1Network)]
    assert list(TRAITS) == [*kinds[0], *kinds[1]] == list(VALID)
    assert {kind: traits.divides_by for kind, traits in TRAITS.items() if not traits.anisotropic} == {
        "segresnet": 2,
        "swin_unetr": 32,
        "unetr": 16,
        "dints": 4,
    }
    for kind, traits in TRAITS.items():
        assert all(d % traits.divides_by == 0 for d in network(kind).divisor)


@pytest.mark.parametrize("kind", OWN)
def test_strides_and_kernels_per_axis_are_only_for_kinds_that_can(kind):
    flat = {"strides": [[1, 1, 1], [1, 2, 2], *VALID[kind]["strides"][2:]], "kernels": [[1, 3, 3], *VALID[kind]["kernels"][1:]]}
    if TRAITS[kind].anisotropic:
        assert network(kind, **flat).divisor[0] < network(kind, **flat).divisor[1]
        return
    said = refused(kind, **flat)
    assert f"{kind} halves all axes from stage to stage, strides has [[1, 1, 1], [1, 2, 2]" in said
    assert f"{kind} has kernels of [3, 3, 3], kernels has [[1, 3, 3]" in said


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        ("unet", {name: TOPOLOGY[name][:1] for name in TOPOLOGY}, "unet needs at least 2 stages, features has 1"),
        ("dynunet", {name: TOPOLOGY[name][:2] for name in TOPOLOGY}, "dynunet needs at least 3 stages, features has 2"),
        ("swin_unetr", UNETR, "swin_unetr needs 6 stages, features has 5"),
        ("unetr", SWIN, "unetr needs 5 stages, features has 6"),
        ("mednext", {"strides": [[1, 1, 1], [3, 3, 3], [1, 2, 2]]}, "pools an axis by 1 or 2 from stage to stage, strides has"),
        ("dynunet", {"strides": [[1, 1, 1], [3, 3, 3], [1, 2, 2]]}, "pools an axis by 1 or 2 from stage to stage, strides has"),
        ("dynunet", {"blocks": [2, 3, 2]}, "dynunet has blocks such as [2, 2, 2], got [2, 3, 2]"),
        ("segresnet", {"features": [4, 8, 12]}, "segresnet's features grow as [4, 8, 16], got [4, 8, 12]"),
        ("swin_unetr", {"features": [16, 16, 32, 64, 128, 256]}, "swin_unetr's first features divide by 12, got 16. Use 12"),
        ("swin_unetr", {"blocks": [2, 2, 4, 2, 2, 1]}, "blocks such as [1, 2, 4, 2, 2, 1], got [2, 2, 4, 2, 2, 1]"),
        ("unetr", {"blocks": [1, 1, 1, 1, 6]}, "unetr has blocks such as [1, 1, 1, 1, 12], got [1, 1, 1, 1, 6]"),
        ("dints", {"blocks": [1, 3, 2]}, "dints has blocks such as [1, 3, 3], got [1, 3, 2]"),
        ("segresnet", {"deep_supervision": True}, "segresnet gives its finest logits only, deep_supervision is true. Use false"),
        ("dynunet", {"checkpointing": True}, "expansion and checkpointing are mednext's, kind is dynunet"),
    ],
)  # fmt: skip
def test_what_a_kind_cannot_be_is_refused_with_what_it_can(kind, changes, message):
    assert message in refused(kind, **changes)


def test_supervised_stages_have_room_on_every_axis_that_is_pooled():
    raw = TOPOLOGY | {
        "features": [4] * 5,
        "strides": [*STEP, [2, 2, 2], [1, 2, 2]],
        "kernels": [[3, 3, 3]] * 5,
        "blocks": [1] * 5,
    }
    made = Network.model_validate(raw | {"kind": "unet", "deep_supervision": True})
    assert made.supervised((32, 64, 64)) == [1, 2, 3]
    assert made.supervised((16, 64, 64)) == [1, 2]
    assert made.supervised((4, 16, 24)) == [1]
    assert made.supervised((4, 8, 16)) == []
    assert made.replace(deep_supervision=False).supervised((32, 64, 64)) == []


def test_deep_supervision_of_a_patch_without_room_is_refused():
    three = TOPOLOGY | {"kind": "unet", "deep_supervision": True}
    assert small_plan(network=three).network.deep_supervision
    with pytest.raises(ValidationError, match=r"deep_supervision: no stage but the finest has 8 voxels .* \[12, 16"):
        small_plan(network=three, patch=[12, 16, 16])


def test_kinds_that_know_one_extent_predict_patch_by_patch():
    plan = small_plan(network=UNETR | {"kind": "unetr"}, patch=[32, 32, 32])
    raw = plan.model_dump(mode="json")
    raw["inference"]["window"] = 2
    with pytest.raises(ValidationError, match=r"inference.window: unetr knows windows of its patch only, window is 2. Use 1"):
        Plan.model_validate(raw)
