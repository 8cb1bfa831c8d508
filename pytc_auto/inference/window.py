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
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from pytc_auto.errors import DataError, ModelError
from pytc_auto.geometry import Box, Zyx, patch_starts
from pytc_auto.inference.gaussian import gaussian_weights
from pytc_auto.inference.mirror import SymmetricAverage, choose_symmetries
from pytc_auto.inference.precision import choose_precision
from pytc_auto.inference.transfer import Sent, Transfer
from pytc_auto.inference.window_size import window_plan
from pytc_auto.io.predictions import UNSEEN
from pytc_auto.io.volume import Array, Volume, read_reflected
from pytc_auto.models.convolution import laid_out
from pytc_auto.models.precision import autocast
from pytc_auto.schema.plan import Inference, Intensity, Plan

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


@dataclass(frozen=True)
class Seen:
    """What a box is predicted from.

    Attributes:
        source: Of the image, for messages.
        box: To be predicted.
        origin: Where the gray values begin.
        patches: That meet the box and are not constant.
        all_patches: Whether these are all that meet the box.
        gray: (Z, Y, X) in the stored dtype: all voxels of the patches. None if there is no patch.
    """

    source: str
    box: Box
    origin: Zyx
    patches: list[Box]
    all_patches: bool
    gray: Sent | None


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
        self.device = device
        self.precision = choose_precision(plan, device)
        self.networks = [laid_out(network.to(device), self.precision, device) for network in networks]
        self._transfer = Transfer(device)
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
        seen = self.read(image, box)
        logits_czyx = self.blend(seen, progress)
        self.check(torch.stack(torch.aminmax(logits_czyx)).cpu().numpy(), seen)
        return logits_czyx.cpu().numpy()

    def read(self, image: Volume, box: Box) -> Seen:
        """All gray values that a box is predicted from, on their way to the device. It may be called beside ``blend``.

        Raises:
            ValueError: The box is empty or not inside the image.
            DataError: The image has values that are not finite, or is damaged.
        """
        if not (box.size and image.box.contains(box)):
            raise ValueError(f"{image.source}: box {box} is empty or not inside {image.box}")
        window = window_plan(self._given, image.shape)
        if window.patch != self.plan.patch:
            self._use(window)
        patches = patches_meeting(image.shape, self.plan, box)
        region = Box(patches[0].start, patches[-1].stop)
        gray_zyx = read_reflected(image, region)
        if gray_zyx.dtype.kind == "f" and np.isnan(gray_zyx.min()):
            raise DataError(f"{image.source}: NaN or infinite gray values in {region}. Replace them, for example by the mean.")
        shown = [patch for patch in patches if _varies(gray_zyx[patch.relative_to(region.start).slices])]
        gray = self._transfer.to_device(gray_zyx) if shown else None
        return Seen(image.source, box, region.start, shown, all_patches=len(shown) == len(patches), gray=gray)

    def blend(self, seen: Seen, progress: Progress | None = None) -> torch.Tensor:
        """The weighted mean of the patches' logits inside a box; ``UNSEEN`` where there are none.

        A model that was not trained in fp16 may have values that do not fit: then it goes on in fp32.

        Returns:
            (C, Z, Y, X), float32, on the device. They may not be finite; see ``check``.
        """
        logits_czyx = self._blend(seen, progress)
        if (
            self.precision == "fp16"
            and self.plan.precision != "fp16"
            and not torch.stack(torch.aminmax(logits_czyx)).isfinite().all()
        ):
            self.precision = "fp32"
            logits_czyx = self._blend(seen, progress)
        return logits_czyx

    def _blend(self, seen: Seen, progress: Progress | None) -> torch.Tensor:
        """``blend`` in one precision."""
        box, total_czyx = seen.box, torch.zeros((self.plan.channels, *seen.box.shape), dtype=torch.float32, device=self.device)
        if seen.gray is None:
            return total_czyx.fill_(UNSEEN)
        weight_zyx = torch.zeros(box.shape, dtype=torch.float32, device=self.device)
        gray_zyx = seen.gray.received()
        with evaluating(self.networks), torch.inference_mode(), autocast(self.precision, self.device):
            for number, patch in enumerate(seen.patches, start=1):
                values_zyx = _normalized(gray_zyx[patch.relative_to(seen.origin).slices], self.plan.intensity)
                logits_czyx = self._average(self._forward, values_zyx[None, None])
                common = patch.intersect(box)
                inner, outer = common.relative_to(patch.start).slices, common.relative_to(box.start).slices
                weights = self._weights[inner]
                total_czyx[(slice(None), *outer)].addcmul_(logits_czyx[(slice(None), *inner)], weights)
                weight_zyx[outer] += weights
                if progress:
                    progress(number / len(seen.patches))
        total_czyx.div_(weight_zyx)
        return total_czyx if seen.all_patches else total_czyx.masked_fill_(weight_zyx == 0, UNSEEN)

    def check(self, extremes: npt.NDArray[np.float32], seen: Seen) -> None:
        """Refuse logits, of which these are the least and the greatest, that are not finite.

        Raises:
            ModelError: They are not.
        """
        if not np.isfinite(extremes).all():
            raise ModelError(
                f"{seen.source}: box {seen.box}: the network gave NaN or infinite values. "
                f"Use another checkpoint, or set precision: fp32 in plan.yaml (now {self.precision})."
            )

    def _forward(self, patch_nczyx: torch.Tensor) -> torch.Tensor:
        """The members' mean logits, float32."""
        patch_nczyx = patch_nczyx.contiguous()
        logits = self._logits(self.networks[0], patch_nczyx)
        for network in self.networks[1:]:
            logits = logits + self._logits(network, patch_nczyx)
        return logits / len(self.networks) if len(self.networks) > 1 else logits

    def _logits(self, network: nn.Module, patch_nczyx: torch.Tensor) -> torch.Tensor:
        """One member's, laid out as they are added up: blending is faster so, whatever layout the network computes in."""
        values: torch.Tensor = network(patch_nczyx)
        return values[:, : self.plan.channels].contiguous().float()


def _varies(gray_zyx: Array) -> bool:
    """Whether there is anything to see; NaN counts as such, and is refused later."""
    return bool(gray_zyx.min() != gray_zyx.max())


def _normalized(gray_zyx: torch.Tensor, intensity: Intensity) -> torch.Tensor:
    """``data.intensity.normalize``, on the device, for one patch."""
    subtract, divide = intensity.scale
    return gray_zyx.to(torch.float32, copy=True).clamp_(*intensity.clip).sub_(subtract).mul_(1 / divide)


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
