"""Checkpoints of v1: each sort is read, each network comes back from one, and a hostile one does nothing."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections import Counter, OrderedDict

import numpy as np
import pytest
import torch
from samples_v1 import built_v1, design_v1, wavy

from pytc_auto.errors import ModelError
from pytc_auto.models.build import build_from
from pytc_auto.models.v1.checkpoint import load_v1, read_v1_checkpoint

PATCH = (16, 32, 48)
ARCHITECTURES = {
    "unet": {},
    "unet pa": {"block": "residual_se_pa", "norm": "gn"},
    "unet plus": {"kind": "v1_unet_plus_3d"},
    "unet 2d": {"kind": "v1_unet_2d", "block": "residual_se", "features": (16, 32, 48)},
    "unet plus 2d": {"kind": "v1_unet_plus_2d"},
    **{f"fpn {b}": {"kind": "v1_fpn_3d", "backbone": b} for b in ("resnet", "repvgg", "botnet", "efficientnet")},
}


def iteration(state):
    """As v1 saves it every so often, with what old optimizers and schedulers hold."""
    odd = np.empty(2, dtype=object)
    odd[:] = [np.float64(0.9), np.int64(3)]
    return {
        "iteration": 1000,
        "state_dict": OrderedDict(state),
        "optimizer": {
            "state": {0: {"momentum_buffer": torch.zeros(3)}},
            "param_groups": [{"lr": np.float64(1e-3), "params": [0], "odd": odd}],
        },
        "lr_scheduler": {"milestones": Counter([3, 5]), "last_epoch": 4, "base_lrs": [np.float32(0.1)]},
    }


def averaged(state):
    return {"state_dict": {"n_averaged": torch.tensor(5), **{f"module.module.{name}": tensor for name, tensor in state.items()}}}


def save(content, path, **more):
    torch.save(content, path, **more)
    return path


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_network_comes_back_from_a_checkpoint(name, tmp_path):
    design = design_v1(**ARCHITECTURES[name])
    before = built_v1(design)
    path = save(iteration(before.state_dict()), tmp_path / "checkpoint_01000.pth.tar")
    after = build_from(design, 3, PATCH).eval()
    load_v1(after, read_v1_checkpoint(path), path)
    image = wavy(1, 1, *PATCH)
    with torch.no_grad():
        assert torch.equal(after(image), before(image))


@pytest.mark.parametrize(
    "wrapped", [iteration, averaged, dict, lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}}]
)
@pytest.mark.parametrize("zipped", [True, False])
def test_every_sort_of_file_is_read(wrapped, zipped, tmp_path):
    state = built_v1(design_v1()).state_dict()
    path = save(wrapped(state), tmp_path / "c.pth.tar", _use_new_zipfile_serialization=zipped)
    found = read_v1_checkpoint(path)
    assert list(found) == list(state)
    assert all(torch.equal(found[name], tensor) for name, tensor in state.items())


def test_half_precision_becomes_single(tmp_path):
    path = save({"state_dict": {"a": torch.ones(2, dtype=torch.float16), "n": torch.tensor(3)}}, tmp_path / "c.pth.tar")
    assert {name: tensor.dtype for name, tensor in read_v1_checkpoint(path).items()} == {"a": torch.float32, "n": torch.int64}


def test_branches_are_joined_for_a_deployed_network(tmp_path):
    design = design_v1("v1_fpn_3d", backbone="repvgg")
    before = built_v1(design)
    path = save(iteration(before.state_dict()), tmp_path / "c.pth.tar")
    after = build_from(design.replace(block="repvgg_deployed"), 3).eval()
    load_v1(after, read_v1_checkpoint(path), path)
    again = build_from(design.replace(block="repvgg_deployed"), 3).eval()
    load_v1(again, read_v1_checkpoint(save(iteration(after.state_dict()), tmp_path / "d.pth.tar")), path)
    with torch.no_grad():
        torch.testing.assert_close(after(wavy(1, 1, *PATCH)), before(wavy(1, 1, *PATCH)), rtol=1e-4, atol=1e-5)
        assert torch.equal(after(wavy(1, 1, *PATCH)), again(wavy(1, 1, *PATCH)))


def test_a_misfit_lists_what_is_missing_unexpected_and_of_another_shape(tmp_path):
    other = built_v1(design_v1("v1_unet_plus_3d", features=(8, 16, 32))).state_dict()
    del other["conv_in.0.weight"]
    path = save({"state_dict": other}, tmp_path / "c.pth.tar")
    made = built_v1(design_v1())
    before = {name: tensor.clone() for name, tensor in made.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        load_v1(made, read_v1_checkpoint(path), path)
    said = str(caught.value)
    assert said.startswith(f"{path}: the weights do not fit the network. Missing: conv_in.0.weight. Unexpected: feat_layers.0.0")
    assert "and 20 more. Of another shape: down_layers.2.1.0.weight (given [32, 16, 3, 3, 3], network [24, 16, 3, 3, 3])" in said
    assert said.endswith(
        "Use the configuration that lies beside the checkpoint (config.yaml in its folder), or give the --base that went with it."
    )
    assert all(torch.equal(before[name], tensor) for name, tensor in made.state_dict().items())


class Malicious:
    def __init__(self, target):
        self.target = target

    def __reduce__(self):
        return os.mkdir, (str(self.target),)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("where", ["state_dict", "optimizer"])
def test_pickled_code_is_named_and_not_run(where, zipped, tmp_path):
    content = iteration({"a": torch.ones(2)}) | {where: {"a": Malicious(tmp_path / "ran")}}
    path = save(content, tmp_path / "c.pth.tar", _use_new_zipfile_serialization=zipped)
    with pytest.raises(
        ModelError, match=r"c\.pth\.tar: asks for (posix|nt)[.]mkdir, which weights have no need of; nothing in it was run"
    ):
        read_v1_checkpoint(path)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists()


def test_a_bare_pickle_does_nothing_either(tmp_path):
    path = tmp_path / "c.pth.tar"
    path.write_bytes(pickle.dumps({"state_dict": {"a": Malicious(tmp_path / "ran")}}))
    with pytest.raises(ModelError, match=r"c\.pth\.tar: "):
        read_v1_checkpoint(path)
    assert not (tmp_path / "ran").exists()


def whole():
    stream = io.BytesIO()
    torch.save(iteration(built_v1(design_v1()).state_dict()), stream)
    return stream.getvalue()


@pytest.mark.parametrize("keep", [0, 3, 100, -1000, -20])
def test_a_truncated_file(keep, tmp_path):
    path = tmp_path / "c.pth.tar"
    path.write_bytes(whole()[:keep])
    with pytest.raises(
        ModelError, match=r"c\.pth\.tar: is no whole checkpoint \(.*\)\. Copy it again, or use another iteration's"
    ):
        read_v1_checkpoint(path)


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n" + b"\0" * 90, b"a text", b"\x80\x04K\x01.", b"PK\x03\x04" + b"a" * 99])
def test_a_foreign_file(content, tmp_path):
    path = tmp_path / "c.pth.tar"
    path.write_bytes(content)
    with pytest.raises(ModelError, match=r"c\.pth\.tar: (is no whole checkpoint|has no entry state_dict)"):
        read_v1_checkpoint(path)


def test_a_zip_without_a_checkpoint_and_a_folder(tmp_path):
    with zipfile.ZipFile(tmp_path / "c.pth.tar", "w") as file:
        file.writestr("readme.txt", "hello")
    with pytest.raises(ModelError, match="is no whole checkpoint"):
        read_v1_checkpoint(tmp_path / "c.pth.tar")
    for path in (tmp_path, tmp_path / "nowhere.pth.tar"):
        with pytest.raises(ModelError, match=r"is missing, or no file. Give a checkpoint_\*"):
            read_v1_checkpoint(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"model": {"a": torch.ones(2)}, "epoch": 3}, "has no entry state_dict, its entries are model, epoch. Give a"),
        ({}, "has no entry state_dict, it has none"),
        ([torch.ones(2)], "has no entry state_dict, it has none"),
        ({"state_dict": {}}, "has no entry state_dict, its entries are state_dict"),
        ({"state_dict": 3}, "has no entry state_dict"),
        ({"state_dict": {"a": torch.ones(2), "b": [1.0], "c": "x"}}, "state_dict has entries that are no tensors: b, c. Give"),
        ({"state_dict": {"a": torch.ones(2).to_sparse()}}, "state_dict has entries that are no tensors: a"),
        ({"state_dict": {1: torch.ones(2)}}, "state_dict has entries that are no tensors: 1"),
        ({"state_dict": {"n_averaged": torch.tensor(3)}}, "state_dict has entries that are no tensors"),
    ],
)  # fmt: skip
def test_what_holds_no_weights_is_refused(content, message, tmp_path):
    with pytest.raises(ModelError) as caught:
        read_v1_checkpoint(save(content, tmp_path / "c.pth.tar"))
    assert message in str(caught.value)


def test_values_that_are_not_finite_are_named(tmp_path):
    state = built_v1(design_v1()).state_dict()
    state["conv_out.0.bias"][1] = float("nan")
    with pytest.raises(ModelError, match=r"NaN or infinite values in conv_out\.0\.bias"):
        load_v1(built_v1(design_v1()), state, "c.pth.tar")
