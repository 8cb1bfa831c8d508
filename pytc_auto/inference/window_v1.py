"""Prediction as PyTorch Connectomics v1 did it, box by box.

v1 padded the whole volume, slid a window over it, applied the activations, averaged over symmetries and blended what came out.
Here the same windows lie over the same padding, and only those that meet a box are computed; sums are in v1's order, so that a
whole volume and its blocks agree. Source: connectomics/engine/trainer.py and data/dataset/dataset_volume.py of its tag v1.0.0.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pytc_auto.data.intensity import as_bytes, normalize
from pytc_auto.errors import DataError, ModelError
from pytc_auto.geometry import Box, Zyx, zyx
from pytc_auto.inference.symmetries_v1 import merged
from pytc_auto.inference.transfer import Sent
from pytc_auto.inference.weights_v1 import window_weights
from pytc_auto.inference.window import Progress, Seen, evaluating
from pytc_auto.io.volume import Array, Volume
from pytc_auto.schema.inference_v1 import Activation, V1Inference
from pytc_auto.schema.plan import Plan

Float32 = npt.NDArray[np.float32]


class V1Predictor:
    """Networks and a plan with v1's way of prediction, ready to predict any box of any image.

    Args:
        networks: Members; the mean of what they give is taken. Moved to ``device``.
        plan: Its ``inference`` is v1's.
        device: As torch names it.
        symmetries: Predictions averaged per window; the plan's number if None.
    """

    def __init__(self, networks: Sequence[nn.Module], plan: Plan, *, device: str = "cpu", symmetries: int | None = None) -> None:
        if not networks:
            raise ModelError("no network to predict with. Export at least one fold.")
        assert isinstance(plan.inference, V1Inference)
        self.networks = [network.to(device) for network in networks]
        self.device = device
        self.plan = plan
        self.way = plan.inference
        self._symmetries = self.way.symmetries if symmetries is None else symmetries
        self._weights = window_weights(self.way.patch, self.way.blending)
        self._channels = [head.channels for head in plan.heads]
        self._image: tuple[Volume, Volume] | None = None

    def predict(self, image: Volume, box: Box, progress: Progress | None = None) -> Float32:
        """Blended values of a box, (C, Z, Y, X), float32, 0 and more; of a tanh 0.5 (1 + it). Memory grows with the box.

        Raises:
            ValueError: The box is empty or not inside the image.
            DataError: The image has values that are not finite, or is damaged.
            ModelError: The network gave values that are not finite.
        """
        seen = self.read(image, box)
        total = self.blend(seen, progress)
        self.check(torch.stack(torch.aminmax(total)).numpy(), seen)
        return total.numpy()

    def read(self, image: Volume, box: Box) -> Seen:
        """All gray values that a box is predicted from, with the padding; windows are told in the image's voxels.

        Raises:
            ValueError: The box is empty or not inside the image.
            DataError: The image has values that are not finite, or is damaged.
        """
        if not (box.size and image.box.contains(box)):
            raise ValueError(f"{image.source}: box {box} is empty or not inside {image.box}")
        padded = Padded(self._bytes(image), self.way)
        windows = windows_meeting(padded.shape, self.way, box.shift(padded.before))
        region = Box(windows[0].start, windows[-1].stop)
        gray = torch.from_numpy(padded.read(region))
        seen = [window.relative_to(padded.before) for window in windows]
        return Seen(image.source, box, seen[0].start, seen, all_patches=True, gray=Sent(gray))

    def blend(self, seen: Seen, progress: Progress | None = None) -> torch.Tensor:
        """The weighted mean of the windows' values inside a box, (C, Z, Y, X), float32. They may not be finite; see ``check``."""
        assert seen.gray is not None
        box, gray_zyx = seen.box, seen.gray.received().numpy()
        total_czyx = np.zeros((self.plan.channels, *box.shape), np.float32)
        weight_zyx = np.zeros(box.shape, np.float32)
        with evaluating(self.networks), torch.inference_mode():
            for number, window in enumerate(seen.patches, start=1):
                values_czyx = self._window(gray_zyx[window.relative_to(seen.origin).slices], seen.source, window)
                common = window.intersect(box)
                inner, outer = common.relative_to(window.start).slices, common.relative_to(box.start).slices
                total_czyx[(slice(None), *outer)] += values_czyx[(slice(None), *inner)] * self._weights[inner]
                weight_zyx[outer] += self._weights[inner]
                if progress:
                    progress(number / len(seen.patches))
        total_czyx /= weight_zyx
        return torch.from_numpy(total_czyx)

    def check(self, extremes: Float32, seen: Seen) -> None:
        """Refuse values, of which these are the least and the greatest, that are not finite.

        Raises:
            ModelError: They are not.
        """
        if not np.isfinite(extremes).all():
            told = "the network gave NaN or infinite values. Use another checkpoint."
            raise ModelError(f"{seen.source}: box {seen.box}: {told}")

    def _bytes(self, image: Volume) -> Volume:
        """The image as the plan's range has it; its least and greatest values are read once."""
        if self._image is None or self._image[0] is not image:
            self._image = (image, as_bytes(image, self.plan.intensity))
        return self._image[1]

    def _window(self, gray_zyx: Array, source: str, window: Box) -> Float32:
        """What is blended of one window, (C, Z, Y, X)."""
        values_zyx = normalize(gray_zyx, self.plan.intensity)
        if not np.isfinite(values_zyx).all():
            raise DataError(f"{source}: NaN or infinite gray values in {window}. Replace them, for example by the mean.")
        image_nczyx = torch.from_numpy(values_zyx).to(self.device)[None, None]
        total = self._shares(self.networks[0], image_nczyx)
        for network in self.networks[1:]:
            total = total + self._shares(network, image_nczyx)
        return (total / len(self.networks)).clamp_(min=0).cpu().numpy()

    def _shares(self, network: nn.Module, image_nczyx: torch.Tensor) -> torch.Tensor:
        """One network's values, merged over the symmetries, (C, Z, Y, X)."""

        def values(seen_nczyx: torch.Tensor) -> torch.Tensor:
            logits = network(seen_nczyx)[:, : self.plan.channels].float()
            parts = zip(logits.split(self._channels, dim=1), self.way.activations, strict=True)
            return torch.cat([activated(part, kind) for part, kind in parts], dim=1)

        return merged(values, image_nczyx, self._symmetries, self.way.merge)[0]


def activated(logits: torch.Tensor, kind: Activation) -> torch.Tensor:
    """A head's channels (axis 1) through v1's activation for prediction."""
    if kind == "tanh":
        return (torch.tanh(logits) + 1) / 2
    if kind == "softmax":
        return logits.softmax(1)
    return logits if kind == "none" else getattr(torch.nn.functional, kind)(logits)


class Padded:
    """A volume with v1's padding around it, and more of it after its end where a window would not fit.

    Attributes:
        before: Voxels of padding in front.
        shape: With the padding.
    """

    def __init__(self, volume: Volume, way: V1Inference) -> None:
        self.volume = volume
        self.before = zyx([before for before, _ in way.pad])
        self._index = []
        for extent, (before, after), wanted in zip(volume.shape, way.pad, way.patch, strict=True):
            sides = (before, max(after, wanted - before - extent))
            if way.pad_mode == "constant":
                self._index.append(np.pad(np.arange(extent), sides, constant_values=-1))
            else:
                self._index.append(np.pad(np.arange(extent), sides, mode=way.pad_mode))
        self.shape = zyx([len(index) for index in self._index])

    def read(self, box: Box) -> Array:
        """Gray values of a box of the padded volume; outside of the volume 0 where the padding is constant."""
        index = [positions[part] for positions, part in zip(self._index, box.slices, strict=True)]
        if any((i < 0).all() for i in index):
            return np.zeros(box.shape, self.volume.dtype)
        start = zyx([int(i[i >= 0].min()) for i in index])
        stop = zyx([int(i.max()) + 1 for i in index])
        found = self.volume.read(Box(start, stop))
        for axis, (positions, first) in enumerate(zip(index, start, strict=True)):
            found = found.take(np.maximum(positions - first, 0), axis)
            if (positions < 0).any():
                np.moveaxis(found, axis, 0)[positions < 0] = 0
        return found


def windows_meeting(shape: Zyx, way: V1Inference, box: Box) -> list[Box]:
    """Those of a padded volume's windows that meet a box, in v1's order.

    A window every ``stride`` voxels as long as it fits; the last one ends with the volume.
    """
    axes = []
    for extent, patch, stride, first, last in zip(shape, way.patch, way.stride, box.start, box.stop, strict=True):
        count = 1 + -(-(extent - patch) // stride)
        starts = [min(number * stride, extent - patch) for number in range(count)]
        axes.append([a for a in starts if a < last and a + patch > first])
    return [Box.of_shape(way.patch, zyx(start)) for start in itertools.product(*axes)]
