"""v1's test-time augmentation: flips of x, y and z and the exchange of x and y, merged by mean, least or greatest.

Predictions are brought back voxel by voxel; channels stay where they are. For affinities that is not right (an affinity along x
of the exchanged image is one along y), but v1 chose its thresholds with it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Literal

import torch

FLIPS: dict[int, tuple[bool, bool]] = {1: (False, False), 4: (False, False), 8: (False, True), 16: (True, True)}
"""By number of symmetries: whether z is flipped, and whether x and y are exchanged. Flips of x and y come from 4 on."""
Values = Callable[[torch.Tensor], torch.Tensor]


def merged(values: Values, image_nczyx: torch.Tensor, count: int, merge: Literal["mean", "min", "max"]) -> torch.Tensor:
    """Values of an image over v1's symmetries.

    Args:
        values: (N, 1, Z, Y, X) to (N, C, Z, Y, X), activated.
        image_nczyx: One window.
        count: 1, 4, 8 or 16; of a single section at most 8.
        merge: v1 began the least at 1 and the greatest at 0, so they never go beyond.

    Returns:
        (N, C, Z, Y, X).
    """
    made = (_seen(values, image_nczyx, *each) for each in _variants(count, single=image_nczyx.shape[2] == 1))
    first = next(made)
    if merge == "min":
        total = first.clamp(max=1)
        for other in made:
            total = torch.minimum(total, other)
        return total
    if merge == "max":
        total = first.clamp(min=0)
        for other in made:
            total = torch.maximum(total, other)
        return total
    total, number = first, 1
    for other in made:
        total, number = total + other, number + 1
    return total / number


def _variants(count: int, *, single: bool) -> Iterator[tuple[list[int], bool]]:
    """Axes that are flipped, and whether x and y are exchanged afterwards, in v1's order."""
    z, exchange = FLIPS[min(count, 8) if single else count]
    plane, options = (False, True) if count > 1 else (False,), {False: (False,), True: (False, True)}
    for flip_x, flip_y, flip_z, exchanged in itertools.product(plane, plane, options[z], options[exchange]):
        yield [axis for axis, flipped in ((4, flip_x), (3, flip_y), (2, flip_z)) if flipped], exchanged


def _seen(values: Values, image_nczyx: torch.Tensor, flipped: list[int], exchanged: bool) -> torch.Tensor:
    turned = image_nczyx.flip(flipped)
    if not exchanged:
        return values(turned).flip(flipped)
    return values(turned.transpose(3, 4).contiguous()).transpose(3, 4).flip(flipped)
