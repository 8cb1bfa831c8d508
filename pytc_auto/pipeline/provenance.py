"""By what a result was made: program, libraries, command and day."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version

PACKAGES = ("pytc_auto", "torch", "numpy", "zarr")


def provenance(command: str | None) -> dict[str, object]:
    """What made a result, as it is told in its attributes.

    Args:
        command: The command line as it was given; None where there was none.
    """
    versions = {name: version(name.replace("_", "-")) for name in PACKAGES}
    return {"command": command, "versions": versions, "date": datetime.now(UTC).isoformat(timespec="seconds")}
