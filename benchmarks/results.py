"""Rows of results.md, and where they were measured."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results.md"


def append(row: str, *, section: str, header: str) -> None:
    """Add a row to the table of a section; the section is made if it is not there."""
    text = RESULTS.read_text() if RESULTS.is_file() else "# Results\n\n"
    if section not in text:
        text = text.rstrip("\n") + "\n\n" + section + header
    before, after = text.split(section, 1)
    lines = after.splitlines(keepends=True)
    end = next((n for n, line in enumerate(lines) if line.startswith("## ")), len(lines))
    last = max(n for n, line in enumerate(lines[:end]) if line.startswith("|"))
    RESULTS.write_text(before + section + "".join([*lines[: last + 1], row, *lines[last + 1 :]]))
    print(row, end="")


def commit() -> str:
    return subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=HERE, capture_output=True, text=True, check=True
    ).stdout.strip()


def machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}"
