import errno

import pytest
import torch
from safetensors.torch import load_file, save_file

from pytc_auto.errors import ModelError, OutputError
from pytc_auto.models import weights
from pytc_auto.models.build import build_from
from pytc_auto.models.weights import load_state, load_weights, save_weights
from pytc_auto.schema.network import Network


def network(seed=0, features=(4, 8), channels=3, kind="unet"):
    torch.manual_seed(seed)
    raw = {"kind": kind, "features": features, "strides": [[1] * 3, [2] * 3], "kernels": [[3] * 3] * 2, "blocks": [1, 1]}
    raw["expansion"] = [2, 2] if kind == "mednext" else None
    return build_from(Network.model_validate(raw), channels)


def values(made):
    return torch.cat([p.detach().flatten() for p in made.parameters()])


@pytest.mark.parametrize("kind", ["unet", "resenc", "mednext"])
def test_round_trip(tmp_path, kind):
    saved, loaded = network(0, kind=kind), network(1, kind=kind)
    before = values(saved)
    assert not torch.equal(values(saved), values(loaded))
    path = tmp_path / "model" / "fold_0.safetensors"
    save_weights(saved, path)
    load_weights(loaded, path)
    assert torch.equal(values(saved), values(loaded))
    assert torch.equal(values(saved), before)
    image = torch.randn(1, 1, 8, 8, 8)
    assert torch.equal(saved(image), loaded(image))
    assert [p.name for p in path.parent.iterdir()] == ["fold_0.safetensors"]


def test_each_tensor_is_stored_once(tmp_path):
    made = network()
    save_weights(made, tmp_path / "w.safetensors")
    assert sum(t.numel() for t in load_file(tmp_path / "w.safetensors").values()) == sum(p.numel() for p in made.parameters())


def test_a_whole_state_with_aliases_loads():
    saved, loaded = network(0), network(1)
    state = saved.state_dict()
    assert len(state) > len(list(saved.parameters()))
    load_state(loaded, state, "last.ckpt")
    assert torch.equal(values(saved), values(loaded))


def test_misfits_are_all_listed(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(network(channels=3), path)
    tensors = load_file(path)
    gone = next(name for name in tensors if "seg_layers" not in name)
    save_file({**{k: t for k, t in tensors.items() if k != gone}, "stray": torch.zeros(2)}, path)
    other = network(seed=1, channels=5)
    before = values(other)
    with pytest.raises(ModelError) as caught:
        load_weights(other, path)
    message = str(caught.value)
    assert message.startswith(f"{path}: the weights do not fit the network. ")
    assert f"Missing: {gone}" in message
    assert "Unexpected: stray" in message
    assert "decoder.seg_layers.0.bias (given [3], network [5])" in message
    assert "Use the plan.yaml exported with them" in message
    assert torch.equal(values(other), before)


def test_long_lists_are_cut(tmp_path):
    save_file({"stray": torch.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(ModelError, match=r"Missing: .* and \d+ more"):
        load_weights(network(), tmp_path / "w.safetensors")


@pytest.mark.parametrize("keep", [0, 4, 100, -10])
def test_truncated_file(tmp_path, keep):
    path = tmp_path / "w.safetensors"
    save_weights(network(), path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ModelError, match=r"w\.safetensors: is not a whole safetensors file"):
        load_weights(network(), path)


def test_damaged_header_and_foreign_file(tmp_path):
    path = tmp_path / "w.safetensors"
    for content in (b"PK\x03\x04 a pickle in a zip" * 9, b"\xff" * 64):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="not a whole safetensors file"):
            load_weights(network(), path)
    with pytest.raises(ModelError, match="not a whole safetensors file"):
        load_weights(network(), tmp_path)


def test_missing_file(tmp_path):
    with pytest.raises(ModelError, match=r"fold_0\.safetensors: is missing"):
        load_weights(network(), tmp_path / "fold_0.safetensors")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_named(tmp_path, value):
    path, made = tmp_path / "w.safetensors", network()
    save_weights(made, path)
    tensors = load_file(path)
    tensors["decoder.seg_layers.0.bias"][1] = value
    save_file(tensors, path)
    before = values(made)
    with pytest.raises(ModelError, match=r"NaN or infinite values in decoder\.seg_layers\.0\.bias\."):
        load_weights(made, path)
    assert torch.equal(values(made), before)
    with torch.no_grad():
        made.decoder.seg_layers[0].bias[1] = value
    with pytest.raises(ModelError, match=r"decoder\.seg_layers\.0\.bias"):
        save_weights(made, tmp_path / "other.safetensors")
    assert not (tmp_path / "other.safetensors").exists()


def test_a_failing_write_keeps_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    save_weights(network(0), path)
    before = path.read_bytes()

    def full(tensors, partial):
        partial.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(weights, "save_file", full)
    with pytest.raises(OutputError, match=r"w\.safetensors: .*No space left on device"):
        save_weights(network(1), path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["w.safetensors"]
