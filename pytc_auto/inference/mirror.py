"""Predictions averaged over symmetries of the cube, affinities permuted and shifted with the image, flow turned with it.

A network sees the image transformed by s. Channel j of an affinity head links voxel w with w + o, o its offset. Under s that
step becomes q = s(o). If q is the offset of channel k, the transformed prediction's channel k, brought back, is channel j. If -q
is, the value lies on the partner: channel j at w is the brought-back channel k at w + o; where w + o is outside the patch there
is none. Component i of a flow head's vector is along axis i of the transformed image: component ``axes[i]`` of the plain one,
negative where that axis is flipped.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch

from pytc_auto.errors import PlanError
from pytc_auto.geometry import Symmetry, Zyx, zyx
from pytc_auto.schema.plan import Plan

Forward = Callable[[torch.Tensor], torch.Tensor]
Slices = tuple[slice, slice, slice]


def choose_symmetries(plan: Plan, count: int) -> tuple[Symmetry, ...]:
    """The first symmetries of the plan's group.

    The order: the identity, then flips without exchange of axes (x, y, yx, z, zx, zy, zyx, as far as the group has them),
    then the permutations of axes, each with its flips in the same order.

    Args:
        plan: Its geometry decides the group.
        count: How many; more than there are gives the whole group.

    Raises:
        PlanError: The count is less than 1.
    """
    if count < 1:
        raise PlanError(f"inference.symmetries is {count}, but at least one prediction is needed. Use 1 for the image as it is")
    return tuple(sorted(plan.symmetry_group, key=lambda s: (s.axes, s.flips))[:count])


def transform(symmetry: Symmetry, array: torch.Tensor) -> torch.Tensor:
    """``Symmetry.apply`` for a tensor that ends in z, y, x."""
    lead = array.ndim - 3
    moved = array.permute(*range(lead), *(lead + a for a in symmetry.axes))
    return moved.flip([lead + i for i, f in enumerate(symmetry.flips) if f])


@dataclass(frozen=True)
class Source:
    """Channel ``target`` of the plain frame at w: ``sign`` times ``channel`` of the brought-back prediction at w + ``shift``."""

    target: int
    channel: int
    shift: Zyx = (0, 0, 0)
    sign: int = 1

    def inner(self, patch: Zyx) -> tuple[Slices, Slices]:
        """Index of the voxels that get a value, and of the values."""
        into = [slice(max(0, -s), max(0, n - max(0, s))) for s, n in zip(self.shift, patch, strict=True)]
        out_of = [slice(max(0, s), max(0, n - max(0, -s))) for s, n in zip(self.shift, patch, strict=True)]
        return (into[0], into[1], into[2]), (out_of[0], out_of[1], out_of[2])


def channel_sources(plan: Plan, symmetry: Symmetry) -> list[Source]:
    """For each output channel where its values are after the image was transformed and the prediction brought back.

    Raises:
        ValueError: The symmetry does not map the offsets onto themselves.
    """
    sources: list[Source] = []
    for head in plan.heads:
        first = len(sources)
        if head.kind == "affinities":
            sources += _affinity_sources([zyx(o) for o in head.offsets], symmetry, first)
        elif head.kind == "flow":
            away = 3 - head.channels
            turned = list(enumerate(zip(symmetry.axes, symmetry.flips, strict=True)))[away:]
            sources += [Source(first + axis - away, first + i - away, sign=-1 if flip else 1) for i, (axis, flip) in turned]
        else:
            sources += [Source(first + i, first + i) for i in range(head.channels)]
    return sources


def _affinity_sources(offsets: Sequence[Zyx], symmetry: Symmetry, first: int) -> Iterator[Source]:
    """For the channels of an affinity head, the first of which is channel ``first`` of all."""
    for number, offset in enumerate(offsets):
        seen = symmetry.offset(offset)
        back = zyx([-i for i in seen])
        if seen in offsets:
            yield Source(first + number, first + offsets.index(seen))
        elif back in offsets:
            yield Source(first + number, first + offsets.index(back), offset)
        else:
            raise ValueError(f"{symmetry} turns offset {offset} into {seen}, which no channel has")


class SymmetricAverage:
    """The mean of a network's logits over some symmetries, for patches of the plan's size.

    Args:
        plan: Heads and patch.
        symmetries: Of the plan's group, the identity among them, so that every voxel has a value.
        device: Where the predictions are.
    """

    def __init__(self, plan: Plan, symmetries: tuple[Symmetry, ...], device: str) -> None:
        if Symmetry() not in symmetries:
            raise ValueError("the identity must be among the symmetries")
        self.patch = plan.patch
        self.channels = plan.channels
        self.parts = [(s, s.inverse, channel_sources(plan, s)) for s in symmetries]
        self.share = self._share(device)

    def __call__(self, forward: Forward, patch_nczyx: torch.Tensor) -> torch.Tensor:
        """The averaged logits of one patch.

        Args:
            forward: (1, 1, Z, Y, X) to (1, C, Z, Y, X) float32 logits.
            patch_nczyx: (1, 1, Z, Y, X).

        Returns:
            (C, Z, Y, X), float32.
        """
        if len(self.parts) == 1:
            return forward(patch_nczyx)[0]
        total = torch.zeros((self.channels, *self.patch), dtype=torch.float32, device=patch_nczyx.device)
        for symmetry, inverse, sources in self.parts:
            back = transform(inverse, forward(transform(symmetry, patch_nczyx))[0])
            for source in sources:
                into, out_of = source.inner(self.patch)
                total[(source.target, *into)].add_(back[(source.channel, *out_of)], alpha=source.sign)
        return total.mul_(self.share)

    def _share(self, device: str) -> torch.Tensor:
        """One over the number of values that each voxel of each channel gets, (C, Z, Y, X)."""
        count = torch.zeros((self.channels, *self.patch), dtype=torch.float32, device=device)
        for _, _, sources in self.parts:
            for source in sources:
                count[(source.target, *source.inner(self.patch)[0])] += 1
        return count.reciprocal_()
