"""Make plans/X.yaml anew from every fingerprints/X.json, for the fixed machine M. A changed rule shows in the diff."""

from __future__ import annotations

from pathlib import Path

from pytc_auto.planning.machines import PRESETS
from pytc_auto.planning.planner import make_plan
from pytc_auto.schema.fingerprint import Fingerprint

HERE = Path(__file__).resolve().parent


def main() -> None:
    """Write all plans."""
    for path in sorted((HERE.parent / "fingerprints").glob("*.json")):
        make_plan(Fingerprint.load(path), PRESETS["M"]).save(HERE / f"{path.stem}.yaml")


if __name__ == "__main__":
    main()
