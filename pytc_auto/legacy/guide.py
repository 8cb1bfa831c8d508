"""The tables of docs/from-v1.md, made from the translator's own: ``python -m pytc_auto.legacy.guide docs/from-v1.md``."""

from __future__ import annotations

import sys
from pathlib import Path

from pytc_auto.legacy.config import defaults
from pytc_auto.legacy.keys import GONE, fields_of

BEGIN, END = "<!-- keys: made by pytc_auto.legacy.guide -->", "<!-- end of keys -->"


def key_table() -> str:
    """Every key of v1 in its order: the fields that it decides, or what happens instead. Keys of one fate share a line."""
    lines = ["| old key | new |", "|---|---|"]
    fates: dict[str, list[str]] = {}
    for key in defaults():
        fields = [f"`{field}`" for field in fields_of(key)]
        fates.setdefault(", ".join(fields) if fields else f"— {GONE[key]}", []).append(key)
    lines += [f"| {', '.join(f'`{key}`' for key in keys)} | {fate} |" for fate, keys in fates.items()]
    return "\n".join(lines)


def with_table(text: str) -> str:
    """The guide with the table put in between its marks."""
    before, _, rest = text.partition(BEGIN)
    return f"{before}{BEGIN}\n\n{key_table()}\n\n{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    guide = Path(sys.argv[1])
    guide.write_text(with_table(guide.read_text(encoding="utf-8")), encoding="utf-8")
