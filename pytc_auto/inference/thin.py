"""The window for a volume that is thinner than the patch: real voxels instead of mirrored ones."""

from __future__ import annotations

import math

from pytc_auto.geometry import Zyx, zyx
from pytc_auto.schema.plan import Plan


def window_plan(plan: Plan, shape: Zyx) -> Plan:
    """The plan with the patch that a volume of this shape is predicted with.

    Networks with normalization depend on what a window holds, so it is the training patch wherever it fits. Where the volume is
    thinner, a patch filled up by reflection shows the network tissue that does not exist. There the window takes the volume's own
    extent (rounded up to what the network divides), and the other axes grow until it holds as many voxels as the patch.

    Args:
        plan: Patch and network.
        shape: Of the volume, on the working grid.
    """
    divisor = plan.network.divisor
    room = zyx([math.ceil(n / d) * d for n, d in zip(shape, divisor, strict=True)])
    thin = [r < p for r, p in zip(room, plan.patch, strict=True)]
    if not any(thin) or all(thin):
        return plan.model_copy(update={"patch": zyx([min(p, r) for p, r in zip(plan.patch, room, strict=True)])})
    lost = math.prod(p / r for p, r, t in zip(plan.patch, room, thin, strict=True) if t)
    growth = lost ** (1 / thin.count(False))
    window = [r if t else min(r, int(p * growth / d) * d) for p, r, d, t in zip(plan.patch, room, divisor, thin, strict=True)]
    return plan.model_copy(update={"patch": zyx(window)})
