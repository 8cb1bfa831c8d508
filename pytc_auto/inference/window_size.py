"""The window: how much of a volume the network sees at once when it predicts."""

from __future__ import annotations

import math

from pytc_auto.geometry import Zyx, zyx
from pytc_auto.schema.plan import Inference, Plan


def window_plan(plan: Plan, shape: Zyx) -> Plan:
    """The plan with the patch that a volume of this shape is predicted with.

    Networks with normalization depend on what a window holds: in one that lies within a single large body, noise is made as
    loud as membranes are elsewhere. A window of several patches holds more, and less of it is its border. Where the volume is
    thinner, a window filled up by reflection shows the network tissue that does not exist; there it takes the volume's own
    extent (rounded up to what the network divides), and the other axes grow until it holds as many voxels as before; not one
    on which a patch is a single voxel, whose sections the network sees one at a time. A network that knows one extent only keeps
    it. Normalization needs two voxels at the coarsest stage, so a volume that has one there is filled up.

    Args:
        plan: Patch, network, and how many patches a window is long.
        shape: Of the volume, on the working grid.
    """
    assert isinstance(plan.inference, Inference)
    if plan.network.one_extent:
        return plan
    divisor = plan.network.divisor
    room = zyx([math.ceil(n / d) * d for n, d in zip(shape, divisor, strict=True)])
    wanted = [n * plan.inference.window if n > 1 else n for n in plan.patch]
    thin = [r < w for r, w in zip(room, wanted, strict=True)]
    growing = [n > 1 and not t for n, t in zip(plan.patch, thin, strict=True)]
    window = [min(w, r) for w, r in zip(wanted, room, strict=True)]
    if any(thin) and any(growing):
        lost = math.prod(w / r for w, r, t in zip(wanted, room, thin, strict=True) if t)
        growth = lost ** (1 / growing.count(True))
        longer = [int(w * growth / d) * d if g else w for w, d, g in zip(wanted, divisor, growing, strict=True)]
        window = [min(r, n) for r, n in zip(room, longer, strict=True)]
    if all(n <= d for n, d in zip(window, divisor, strict=True)):
        longest = max(range(3), key=lambda axis: plan.patch[axis] / divisor[axis])
        window[longest] = min(2 * divisor[longest], plan.patch[longest])
    return plan.model_copy(update={"patch": zyx(window)})
