"""The two sides of synapses."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pytc_auto.targets.neighbors import BoolArray


def polarity_from_labels(raw_zyx: npt.NDArray[Any], inside_zyx: BoolArray) -> BoolArray:
    """Tell the presynaptic side (odd ids), the postsynaptic side (even ids), and both together.

    Args:
        raw_zyx: Labels as stored, (Z, Y, X), any integer dtype: 2k - 1 and 2k are the two sides of synapse k.
        inside_zyx: Where they are synapses, neither background nor unlabeled.

    Returns:
        (3, Z, Y, X): presynaptic, postsynaptic, either.

    Source:
        Lin et al. 2020, ECCV (two-stream active query suggestion), as target 1 of PyTorch Connectomics v1.
    """
    odd = (raw_zyx.astype(np.uint8) & 1).view(np.bool_)
    return np.stack([odd & inside_zyx, ~odd & inside_zyx, inside_zyx])
