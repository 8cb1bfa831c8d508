"""Voxel sizes as files declare them, in nanometers."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pytc_auto.geometry import ZyxFloat

_NANOMETERS = {
    1.0: ("nm", "nanometer", "nanometers", "nanometre", "nanometres"),
    0.1: ("å", "\u212b", "angstrom", "angstroms", "ångström"),
    1e-3: ("pm", "picometer", "picometre"),
    1e3: ("um", "µm", "μm", "micron", "microns", "micrometer", "micrometers", "micrometre", "micrometres", "\\u00b5m"),
    1e6: ("mm", "millimeter", "millimeters", "millimetre", "millimetres"),
    1e7: ("cm", "centimeter", "centimetre"),
    1e9: ("m", "meter", "metre"),
    25.4e6: ("inch", "inches", "in"),
}
_BY_NAME = {name: factor for factor, names in _NANOMETERS.items() for name in names}


def in_nm(value: float, unit: str | None) -> float:
    """A length in nanometers; nan if the unit is not known."""
    return value * _BY_NAME.get((unit or "").strip().strip("\x00").lower(), math.nan)


def usable(values: Sequence[float]) -> ZyxFloat | None:
    """Three finite lengths above zero, rounded to 1e-6 nm, else None."""
    rounded = [round(float(v), 6) if math.isfinite(v) else math.nan for v in values]
    if len(rounded) != 3 or not all(v > 0 for v in rounded):
        return None
    return rounded[0], rounded[1], rounded[2]


def from_attributes(attributes: Mapping[str, Any]) -> ZyxFloat | None:
    """Voxel size from the attributes of an HDF5 or zarr array or group.

    Args:
        attributes: ``resolution`` or ``voxel_size`` hold (z, y, x), in nanometers unless ``units`` (one for each axis)
            says otherwise; ``element_size_um`` holds (z, y, x) in micrometers, as Fiji and ilastik write it.
    """
    units = _texts(attributes.get("units"))
    for name in ("resolution", "voxel_size", "voxel_size_nm"):
        found = _numbers(attributes.get(name))
        if len(found) == 3:
            given = units if len(units) == 3 and not name.endswith("_nm") else ["nm"] * 3
            return usable([in_nm(v, u) for v, u in zip(found, given, strict=True)])
    return usable([in_nm(v, "um") for v in _numbers(attributes.get("element_size_um"))])


def offset_from_attributes(attributes: Mapping[str, Any]) -> ZyxFloat | None:
    """Where the first voxel lies, from the attributes of an HDF5 or zarr array.

    Args:
        attributes: ``offset`` holds (z, y, x), in nanometers unless ``units`` says otherwise.
    """
    found, units = _numbers(attributes.get("offset")), _texts(attributes.get("units"))
    given = units if len(units) == 3 else ["nm"] * 3
    return finite([in_nm(v, u) for v, u in zip(found, given, strict=True)]) if len(found) == 3 else None


def finite(values: Sequence[float]) -> ZyxFloat | None:
    """Three finite lengths, rounded to 1e-6 nm, else None."""
    if len(values) != 3 or not all(math.isfinite(v) for v in values):
        return None
    z, y, x = (round(float(v), 6) for v in values)
    return z, y, x


def _numbers(value: Any) -> list[float]:
    """The numbers of a list-like attribute; none if it holds anything else."""
    try:
        return [float(v) for v in value]
    except (TypeError, ValueError):
        return []


def _texts(value: Any) -> list[str]:
    """The words of a list-like attribute, as HDF5 (bytes) or JSON (text) hold them."""
    if value is None or isinstance(value, str | bytes):
        return []
    return [v.decode(errors="replace") if isinstance(v, bytes) else str(v) for v in value]
