"""v1's way of prediction, written down step by step for a whole volume; and its rule to fill weights."""

from __future__ import annotations

import itertools

import numpy as np
import torch

WAY = {
    "blending": "v1_gaussian",
    "zoom": [1, 1, 1],
    "patch": [5, 9, 9],
    "stride": [2, 4, 5],
    "pad": [[2, 2], [3, 3], [4, 4]],
    "pad_mode": "reflect",
    "activations": ["sigmoid", "sigmoid", "tanh"],
    "symmetries": 1,
    "merge": "mean",
    "block": [4, 7, 8],
}


def v1_weights(patch, blending):
    """v1's blending matrix, voxel by voxel."""
    weights = np.empty(patch, np.float64)
    for index in np.ndindex(*patch):
        if blending == "v1_gaussian":
            place = [-1 + 2 * i / (n - 1) if n > 1 else -1.0 for i, n in zip(index, patch, strict=True)]
            weights[index] = 1e-4 + np.exp(-sum(p * p for p in place) / (2 * 0.2**2))
        else:
            place = [(i + 1) / (n + 1) for i, n in zip(index, patch, strict=True)]
            weights[index] = -sum((p * (1 - p)) ** -1.5 for p in place)
    return weights if blending == "v1_gaussian" else 1e-4 + np.exp(weights - weights.max())


def v1_variants(model, window_zyx, count, merge, act):
    """v1's test-time augmentation of one window."""
    volume = torch.from_numpy(window_zyx)[None, None]
    options = {
        1: [(False,)] * 4,
        4: [(False, True), (False, True), (False,), (False,)],
        8: [(False, True), (False, True), (False,), (False, True)],
        16: [(False, True)] * 4,
    }[count]
    found = []
    for xflip, yflip, zflip, transpose in itertools.product(*options):
        seen = volume.clone()
        for wanted, axis in ((xflip, 4), (yflip, 3), (zflip, 2)):
            seen = torch.flip(seen, [axis]) if wanted else seen
        seen = torch.transpose(seen, 3, 4) if transpose else seen
        with torch.no_grad():
            out = act(model(seen))
        out = torch.transpose(out, 3, 4) if transpose else out
        for wanted, axis in ((zflip, 2), (yflip, 3), (xflip, 4)):
            out = torch.flip(out, [axis]) if wanted else out
        found.append(out[0].numpy())
    if merge == "mean":
        return sum(found) / len(found)
    out = np.ones_like(found[0]) if merge == "min" else np.zeros_like(found[0])
    for each in found:
        out = np.minimum(out, each) if merge == "min" else np.maximum(out, each)
    return out


def v1_predicts(model, raw_zyx, plan, act):
    """What v1 wrote into its HDF5 file."""
    way = plan.inference
    image = raw_zyx
    if image.dtype != np.uint8:
        image = ((image - image.min()) / float(image.max() - image.min() + 1e-6) * 255).astype(np.uint8)
    padded = np.pad(image, way.pad, way.pad_mode)
    counts = [1 + int(np.ceil((n - p) / s)) for n, p, s in zip(padded.shape, way.patch, way.stride, strict=True)]
    result = np.zeros((plan.channels, *padded.shape), np.float32)
    weight = np.zeros(padded.shape, np.float32)
    weights = v1_weights(way.patch, way.blending).astype(np.float32)
    for number in itertools.product(*map(range, counts)):
        start = [
            i * s if i != c - 1 else n - p
            for i, c, s, n, p in zip(number, counts, way.stride, padded.shape, way.patch, strict=True)
        ]
        box = tuple(slice(a, a + p) for a, p in zip(start, way.patch, strict=True))
        window = ((padded[box] / 255.0).astype(np.float32) - 0.5) / 0.5
        out = v1_variants(model, window.astype(np.float32), way.symmetries, way.merge, act)
        out[out < 0] = 0
        result[(slice(None), *box)] += out * weights
        weight[box] += weights
    result /= weight
    inner = tuple(slice(a, n - b) for (a, b), n in zip(way.pad, padded.shape, strict=True))
    return (result * 255).astype(np.uint8)[(slice(None), *inner)]


def filled(network):
    """A state of v1's names, filled by the rule of the golden outputs."""
    state = network.state_dict()
    for number, name in enumerate(sorted(state)):
        tensor = state[name]
        if not tensor.is_floating_point():
            continue
        place = np.arange(1, tensor.numel() + 1, dtype=np.float64)
        values = np.cos(0.618 * place * place + number)
        if tensor.ndim >= 2:
            values = values * np.sqrt(2 / tensor[0].numel())
        elif name.endswith("running_var"):
            values = 1 + 0.5 * values**2
        else:
            values = 0.1 * values + name.endswith("weight")
        state[name] = torch.from_numpy(values.astype(np.float32).reshape(tensor.shape))
    return state


def close(ours, theirs):
    """Within one step, and the same but for rounding."""
    off = np.abs(ours.astype(int) - theirs.astype(int))
    return off.max() <= 1 and (off > 0).mean() < 1e-2
