"""runs/NAME/report.html: what the data are and what was decided, for a person to look at. One file, no network, no script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pytc_auto.files import write_whole
from pytc_auto.fingerprint.measurement import Measurement, VolumeView
from pytc_auto.geometry import AXES
from pytc_auto.report import charts, slices
from pytc_auto.report.drawing import plan_drawings
from pytc_auto.report.tables import fingerprint_rows, plan_rows
from pytc_auto.schema.fingerprint import Fingerprint
from pytc_auto.schema.plan import Plan

MOST_SHOWN = 4
"""Of more volumes the first ones are shown."""


@dataclass(frozen=True)
class _Shown:
    """One volume on the page."""

    name: str
    pictures: list[slices.Picture]
    charts: dict[str, str]


def write_report(measurement: Measurement, plan: Plan, remarks: Sequence[str], path: Path) -> None:
    """Write the page, whole or not at all.

    Args:
        measurement: What was measured.
        plan: What was decided.
        remarks: What a person should know first.
        path: HTML file to write.
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("pytc_auto.report", "."), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    fingerprint = measurement.fingerprint
    facts, sizes = fingerprint.intensity, measurement.instance_sizes
    distributions = {
        "gray values": charts.gray_values(facts) if facts else None,
        "sizes of the labels' components": charts.instance_sizes(sizes) if sizes else None,
    }
    text = environment.get_template("page.html").render(
        name=plan.name,
        remarks=remarks,
        facts=fingerprint_rows(fingerprint),
        distributions={caption: chart for caption, chart in distributions.items() if chart},
        volumes=[_shown(view, fingerprint, number) for number, view in enumerate(measurement.volumes[:MOST_SHOWN])],
        more=max(0, len(measurement.volumes) - MOST_SHOWN),
        drawings=plan_drawings(plan, fingerprint),
        decisions=plan_rows(plan),
    )
    write_whole(path, text)


def _shown(view: VolumeView, fingerprint: Fingerprint, number: int) -> _Shown:
    window = None
    if fingerprint.intensity and {"p0_5", "p99_5"} <= fingerprint.intensity.percentiles.keys():
        window = fingerprint.intensity.percentiles["p0_5"], fingerprint.intensity.percentiles["p99_5"]
    size = fingerprint.volumes[number].voxel_size_nm
    several = len(view.sections.curves.section) > 1
    return _Shown(
        name=view.name,
        pictures=slices.pictures(view.slices, size, window),
        charts=charts.section_curves(view.sections, AXES[fingerprint.cutting_axis]) if several else {},
    )
