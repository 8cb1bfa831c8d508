from __future__ import annotations

import io
import math

from rich.console import Console

from pytc_auto.geometry import Box, blocks
from pytc_auto.progress import Bars, walked


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=120, color_system=None)


def test_walked_gives_every_box_and_tells_what_is_finished():
    boxes = list(blocks(Box.of_shape((3, 5, 7)), (2, 5, 3)))
    told = []
    walk = walked("reading", lambda *step: told.append(step), boxes)
    assert next(walk) == boxes[0]
    assert told == [("reading", 0, 105)]
    assert list(walk) == boxes[1:]
    assert [done for _, done, _ in told] == [0, *(math.fsum(b.size for b in boxes[: i + 1]) for i in range(len(boxes)))]


def test_a_bar_shows_step_share_and_rate():
    console = terminal()
    with Bars(console) as bars:
        bars("reading", 0, 4e6)
        bars("reading", 1e6, 4e6)
        bars("reading", 4e6, 4e6)
    text = console.file.getvalue()
    assert "reading" in text
    assert "100 %" in text
    assert "Mvoxels/s" in text


def test_a_step_without_a_known_end_shows_no_share():
    console = terminal()
    with Bars(console) as bars:
        bars("decoding", 0, 0)
    assert "decoding" in console.file.getvalue()
    assert "%" not in console.file.getvalue()


def test_a_line_ends_a_group_of_bars_and_the_next_step_starts_another():
    console = terminal()
    with Bars(console) as bars:
        bars("one", 1, 1)
        bars.say("[2] of 3")
        bars("two", 1, 1)
    text = console.file.getvalue()
    after = text[text.index("[2] of 3") :]
    assert "two" in after
    assert "one" not in after
