"""Tables for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.markup import escape
from rich.table import Table

from pytc_auto.report.tables import fingerprint_rows, plan_rows
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Plan
from pytc_auto.schema.selection import Selection

MOST_SCORES = 6
"""Columns of a sweep's table; the file beside it has them all."""


def score_table(scores: dict[str, float], title: str) -> Table:
    """Scores by name."""
    table = Table(title=title, title_justify="left")
    table.add_column("score")
    table.add_column("value", justify="right")
    for name, value in scores.items():
        table.add_row(name.replace("_", " "), f"{value:.4f}")
    return table


def plan_table(plan: Plan, *, explain: bool = False) -> Table:
    """Decision and value; to explain them, rule and numbers, too."""
    table = Table(title=f"Plan for {escape(plan.name)}", title_justify="left", show_header=explain)
    table.add_column("decision", no_wrap=True)
    table.add_column("value", ratio=3)
    if explain:
        table.add_column("rule", no_wrap=True)
        table.add_column("because of", ratio=2)
    for field, value, rule, numbers in plan_rows(plan):
        table.add_row(field, escape(value), *([rule, escape(numbers)] if explain else []))
    return table


def import_table(rows: Sequence[tuple[str, str, str]]) -> Table:
    """A key of v1 in each row, its value, and what happens instead."""
    table = Table(title="Of v1's values, these have no counterpart, or another one", title_justify="left")
    table.add_column("key", no_wrap=True)
    table.add_column("value", ratio=2, overflow="fold")
    table.add_column("instead", ratio=3)
    for key, value, instead in rows:
        table.add_row(escape(key), escape(value), escape(instead))
    return table


def sweep_table(rows: Sequence[tuple[Mapping[str, str], Mapping[str, float] | None]], metric: str) -> Table:
    """A run in each row, the best first: its swept values, and its scores on validation data, None where it failed."""
    known = next((scores for _, scores in rows if scores), {})
    shown = _shown_scores(known, metric)
    table = Table(title=f"Validation, the best first (by {metric})", title_justify="left")
    for key in rows[0][0]:
        table.add_column(key)
    for key in shown:
        table.add_column(key.replace("_", " "), justify="right")
    for values, scores in rows:
        told = [f"{scores[key]:.4f}" if key in scores else "" for key in shown] if scores is not None else []
        table.add_row(*map(escape, values.values()), *told)
    return table


def selection_table(selection: Selection) -> Table:
    """A model or ensemble in each row, the best first: its members, scores and decoder."""
    shown = _shown_scores(selection.contenders[0].scores, selection.metric)
    table = Table(title=f"Held-out data, the best first (by {selection.metric})", title_justify="left")
    table.add_column("members", overflow="fold")
    for key in shown:
        table.add_column(key.replace("_", " "), justify="right")
    table.add_column("decoder", overflow="fold")
    for contender in selection.contenders:
        parameters = ", ".join(f"{name.replace('_', ' ')} {value:g}" for name, value in contender.decoder.parameters.items())
        scores = [f"{contender.scores[key]:.4f}" if key in contender.scores else "" for key in shown]
        table.add_row(escape(" + ".join(contender.members)), *scores, f"{contender.decoder.kind}: {parameters}")
    return table


def _shown_scores(scores: Mapping[str, float], metric: str) -> list[str]:
    """The first few names, that of the metric before all."""
    first = {"dice": "mean_foreground_dice"}.get(metric, metric)
    return sorted((key for key in scores if not key.startswith("ap_")), key=lambda key: key != first)[:MOST_SCORES]


def outcome_table(rows: Sequence[tuple[str, str, float, int, str]]) -> Table:
    """A volume in each row: its name, how it ended, seconds, voxels, and where its segmentation is."""
    table = Table(title="Segmented volumes", title_justify="left")
    for name, justify in (("volume", "left"), ("state", "left"), ("seconds", "right"), ("voxels", "right"), ("where", "left")):
        table.add_column(name, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for volume, state, seconds, voxels, where in rows:
        table.add_row(escape(volume), state, f"{seconds:.1f}", f"{voxels:,}", escape(where))
    return table


def status_table(rows: Sequence[tuple[str, str, Sequence[int | None]]]) -> Table:
    """A stage of an output in each row: blocks in all, done, running, failed, and begun by a process that has ended."""
    table = Table(title="Blocks", title_justify="left")
    for name in ("output", "stage"):
        table.add_column(name, overflow="fold")
    for name in ("blocks", "done", "running", "failed", "process ended"):
        table.add_column(name, justify="right")
    for output, stage, counts in rows:
        table.add_row(escape(output), escape(stage), *("" if count is None else f"{count:,}" for count in counts))
    return table


def fingerprint_table(fingerprint: Fingerprint) -> Table:
    """A topic and its facts in each row."""
    table = Table(title=f"Data set {escape(fingerprint.name)}", title_justify="left", show_header=False)
    table.add_column("topic", no_wrap=True)
    table.add_column("facts", ratio=1)
    for topic, facts in fingerprint_rows(fingerprint):
        table.add_row(topic, escape(facts))
    return table
