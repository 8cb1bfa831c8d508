"""How far a network sees: plain arithmetic on its topology, one axis at a time."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from pytc_auto.geometry import Zyx, zyx
from pytc_auto.schema.network import Network

Span = tuple[int, int]
"""First and last voxel that are needed, in voxels of a stage."""


@dataclass(frozen=True)
class Blocks:
    """What a kind of network is built of.

    Attributes:
        stem: Convolutions ahead of the first stage, with its kernel.
        per_block: Convolutions with the stage's kernel in a block of the encoder.
        decoder: The same in a whole stage of the decoder; None: the decoder mirrors the encoder.
        resampling: Whether stages are joined by convolutions of their own, with the finer stage's kernel. Otherwise a stage's
            first convolution strides, and the way back up has kernels as large as the strides.
        linear: Whether the way back up interpolates between two voxels of the coarser stage.
    """

    stem: int
    per_block: int
    decoder: int | None
    resampling: bool
    linear: bool = False


KINDS = MappingProxyType(
    {
        "unet": Blocks(stem=0, per_block=1, decoder=None, resampling=False),
        "resenc": Blocks(stem=1, per_block=2, decoder=1, resampling=False),
        "mednext": Blocks(stem=0, per_block=1, decoder=None, resampling=True),
        "dynunet": Blocks(stem=0, per_block=1, decoder=None, resampling=False),
        "segresnet": Blocks(stem=1, per_block=2, decoder=2, resampling=True, linear=True),
    }
)
"""Kinds that are not here see the whole patch: by attention, or through so many stages that it comes to the same."""


def receptive_field(network: Network, patch: Zyx) -> Zyx:
    """Extent of the image on which one output voxel depends through convolutions, in voxels of the working grid.

    It differs a little from voxel to voxel, by where a voxel lies among the strides; this is the largest. Left out:
    normalization, whose mean and deviation are of the whole patch, and the patch's border, which cuts the field off. For kinds
    that see the whole patch it is the patch.
    """
    if network.kind not in KINDS:
        return patch
    return zyx([_along(network, axis) for axis in range(3)])


def _along(network: Network, axis: int) -> int:
    """The longest way between the first and the last voxel that an output voxel needs."""
    spans = [_needed(network, axis, stage=0, decoded=(voxel, voxel)) for voxel in range(network.divisor[axis])]
    return max(last - first + 1 for first, last in spans)


def _needed(network: Network, axis: int, *, stage: int, decoded: Span) -> Span:
    """Of the image, for a span of a stage's result: through the decoder, the coarser stages and the skip, then the encoder."""
    kind = KINDS[network.kind]
    encoder = network.blocks[stage] * kind.per_block
    if stage == len(network.blocks) - 1:
        return _encoded(network, axis, stage, decoded)
    reach = network.kernels[stage][axis] // 2
    inner = _grown(decoded, reach * (encoder if kind.decoder is None else kind.decoder))
    stride = network.strides[stage + 1][axis]
    coarse = _between(inner) if kind.linear else _up(inner, stride, reach if kind.resampling else None)
    skip, deep = _encoded(network, axis, stage, inner), _needed(network, axis, stage=stage + 1, decoded=coarse)
    return min(skip[0], deep[0]), max(skip[1], deep[1])


def _encoded(network: Network, axis: int, stage: int, span: Span) -> Span:
    """Of the image, for a span of what the encoder's stage gives."""
    kind = KINDS[network.kind]
    while stage:
        reach, stride = network.kernels[stage][axis] // 2, network.strides[stage][axis]
        plain = network.blocks[stage] * kind.per_block - (0 if kind.resampling else 1)
        first, last = _grown(span, reach * plain)
        stage -= 1
        across = network.kernels[stage][axis] // 2 if kind.resampling else reach
        span = first * stride - across, last * stride + across
    return _grown(span, network.kernels[0][axis] // 2 * (network.blocks[0] * kind.per_block + kind.stem))


def _up(span: Span, stride: int, reach: int | None) -> Span:
    """Of the coarser stage, for a span of the finer. A convolution of its own is padded in front by the stride less one."""
    if reach is None:
        return span[0] // stride, span[1] // stride
    first, last = (voxel - (stride - 1) for voxel in span)
    return -((reach - first) // stride), (last + reach) // stride


def _between(span: Span) -> Span:
    """Of the coarser stage, for a span of the finer that is interpolated linearly from it, with a stride of 2."""
    return (span[0] - 1) // 2, (span[1] + 1) // 2


def _grown(span: Span, margin: int) -> Span:
    return span[0] - margin, span[1] + margin
