"""Logits of a box, blended from the patches of one global grid.

    volume                     the grid is anchored at the volume's origin, so a patch lies at the same place
┌───┬───┬───┬──┐               whichever box is asked for, and a voxel gets the same value in every block.
│ ┌─┼───┼─┐ │  │
│ │ │box│ │ │  │               inner: the box; around it: the halo that its patches reach into, read once
│ └─┼───┼─┘ │  │               and thrown away afterwards.
└───┴───┴───┴──┘
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pytc_auto.data.intensity import normalize
from pytc_auto.errors import DataError, ModelError
from pytc_auto.geometry import Box, Zyx, patch_starts
from pytc_auto.inference.gaussian import gaussian_weights
from pytc_auto.inference.mirror import SymmetricAverage, choose_symmetries
from pytc_auto.inference.window_size import window_plan
from pytc_auto.io.predictions import UNSEEN
from pytc_auto.io.volume import Array, Volume, read_reflected
from pytc_auto.models.precision import autocast
from pytc_auto.schema.plan import Inference, Plan

Progress = Callable[[float], None]
Logits = npt.NDArray[np.float32]


def patches_meeting(shape: Zyx, plan: Plan, box: Box) -> list[Box]:
    """Those patches of the volume's ``geometry.patch_grid`` that meet a box, in its order; the rest is never listed."""
    assert isinstance(plan.inference, Inference)
    axes = []
    for extent, patch, start, stop in zip(shape, plan.patch, box.start, box.stop, strict=True):
        step = max(1, round(patch * (1 - plan.inference.overlap)))
        axes.append([a for a in patch_starts(extent, patch, step) if a < stop and a + patch > start])
    return [Box.of_shape(plan.patch, start) for start in itertools.product(*axes)]


class Predictor:
    """Networks and a plan, ready to predict any box of any image.

    Args:
        networks: Members of an ensemble; moved to ``device``.
        plan: Patch, overlap, intensity, precision, heads.
        device: As torch names it.
        symmetries: Predictions averaged per patch; the plan's number if None.
    """

    def __init__(self, networks: Sequence[nn.Module], plan: Plan, *, device: str = "cpu", symmetries: int | None = None) -> None:
        if not networks:
            raise ModelError("no network to predict with. Export at least one fold.")
        self.networks = [network.to(device) for network in networks]
        self.device = device
        self._given = plan
        self._symmetries = plan.inference.symmetries if symmetries is None else symmetries
        self._use(plan)

    def _use(self, plan: Plan) -> None:
        """Keep what depends on the patch."""
        self.plan = plan
        self._average = SymmetricAverage(plan, choose_symmetries(plan, self._symmetries), self.device)
        self._weights = torch.from_numpy(gaussian_weights(plan.patch)).to(self.device)

    def predict(self, image: Volume, box: Box, progress: Progress | None = None) -> Logits:
        """Blended logits of a box, (C, Z, Y, X), float32. Memory grows with the box, not with the image.

        Raises:
            ValueError: The box is empty or not inside the image.
            DataError: The image has values that are not finite, or is damaged.
            ModelError: The network gave values that are not finite.
        """
        if not (box.size and image.box.contains(box)):
            raise ValueError(f"{image.source}: box {box} is empty or not inside {image.box}")
        window = window_plan(self._given, image.shape)
        if window.patch != self.plan.patch:
            self._use(window)
        patches = patches_meeting(image.shape, self.plan, box)
        region = Box(
            (patches[0].start[0], patches[0].start[1], patches[0].start[2]),
            (patches[-1].stop[0], patches[-1].stop[1], patches[-1].stop[2]),
        )
        gray_zyx = read_reflected(image, region)
        shown = [patch for patch in patches if _varies(gray_zyx[patch.relative_to(region.start).slices])]
        region_zyx = self._normalized(gray_zyx, image.source, region)
        with evaluating(self.networks), torch.inference_mode(), autocast(self.plan.precision, self.device):
            logits_czyx = self._blend(region_zyx, region.start, shown, box, progress)
        if not np.isfinite(logits_czyx).all():
            raise ModelError(
                f"{image.source}: box {box}: the network gave NaN or infinite values. "
                f"Use another checkpoint, or set precision: fp32 in plan.yaml (now {self.plan.precision})."
            )
        return logits_czyx

    def _normalized(self, gray_zyx: Array, source: str, region: Box) -> torch.Tensor:
        """The gray values of all patches at once as the network sees them, (Z, Y, X)."""
        values_zyx = normalize(gray_zyx, self.plan.intensity)
        if not np.isfinite(values_zyx).all():
            raise DataError(f"{source}: NaN or infinite gray values in {region}. Replace them, for example by the mean.")
        return torch.from_numpy(values_zyx).to(self.device)

    def _blend(self, region_zyx: torch.Tensor, origin: Zyx, patches: list[Box], box: Box, progress: Progress | None) -> Logits:
        """The weighted mean of the patches' logits inside the box; ``UNSEEN`` where there are none."""
        total_czyx = torch.zeros((self.plan.channels, *box.shape), dtype=torch.float32, device=self.device)
        weight_zyx = torch.zeros(box.shape, dtype=torch.float32, device=self.device)
        for number, patch in enumerate(patches, start=1):
            values = region_zyx[patch.relative_to(origin).slices]
            logits_czyx = self._average(self._forward, values[None, None])
            common = patch.intersect(box)
            inner, outer = common.relative_to(patch.start).slices, common.relative_to(box.start).slices
            weights = self._weights[inner]
            total_czyx[(slice(None), *outer)].addcmul_(logits_czyx[(slice(None), *inner)], weights)
            weight_zyx[outer] += weights
            if progress:
                progress(number / len(patches))
        return total_czyx.div_(weight_zyx).masked_fill_(weight_zyx == 0, UNSEEN).cpu().numpy()

    def _forward(self, patch_nczyx: torch.Tensor) -> torch.Tensor:
        """The members' mean logits, float32."""
        patch_nczyx = _channels_last(patch_nczyx) if torch.device(self.device).type == "cpu" else patch_nczyx.contiguous()
        predicted = self.plan.channels
        logits = self.networks[0](patch_nczyx)[:, :predicted].float()
        for network in self.networks[1:]:
            logits = logits + network(patch_nczyx)[:, :predicted].float()
        return logits / len(self.networks) if len(self.networks) > 1 else logits


def _varies(gray_zyx: Array) -> bool:
    """Whether there is anything to see; NaN counts as such, and is refused later."""
    return bool(gray_zyx.min() != gray_zyx.max())


def _channels_last(patch_nczyx: torch.Tensor) -> torch.Tensor:
    """A one-channel patch whose strides say that channels are last, the layout in which a CPU convolves fastest.

    torch takes a layout from the strides, and with a single channel they fit both layouts, so the wanted ones are set.
    """
    z, y, x = patch_nczyx.shape[2:]
    return patch_nczyx.contiguous().as_strided(patch_nczyx.shape, (z * y * x, 1, y * x, x, 1))


@contextmanager
def evaluating(networks: Sequence[nn.Module]) -> Iterator[None]:
    """Networks in evaluation; afterwards each module is as it was."""
    before = [(module, module.training) for network in networks for module in network.modules()]
    for network in networks:
        network.eval()
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
