"""The plan, drawn: what the network sees beside what there is to see, and its stages."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

from pytc_auto.geometry import AXES, Zyx, ZyxFloat, anisotropy, zyx
from pytc_auto.report.charts import FILL, INK, svg
from pytc_auto.report.slices import scale_bar
from pytc_auto.report.tables import LEAST_ANISOTROPY, times
from pytc_auto.schema.fingerprint import Fingerprint, InstanceFacts
from pytc_auto.schema.network import Network
from pytc_auto.schema.plan import Plan
from pytc_auto.schema.receptive_field import receptive_field

FIELD, OBJECT, SOFT = "#d55e00", "#009e73", "#5c6773"
MARGIN = 1.08
"""Of a picture's half width, over the farthest edge in it."""
MOST_BEYOND = 1.6
"""An object that is longer than this many patches and receptive fields is not drawn whole."""
LEAST_PANEL_SHARE = 0.35
WIDTH, ROW = 3.9, 0.44
"""Inches; narrow, so that the words can be read on a phone."""
PYRAMID, VOXEL, WORDS = (0.145, 0.2), (0.295, 0.055), 0.345
"""Middle and full width of the bars and of the voxels' shapes, and where the words begin, of the picture's width."""


def plan_drawings(plan: Plan, fingerprint: Fingerprint) -> dict[str, str]:
    """SVG pictures of a plan, each with its caption.

    Args:
        plan: What was decided.
        fingerprint: Of the data set; how large its objects are, where known.
    """
    facts = fingerprint.labels.instances if fingerprint.labels else None
    return {_scene_caption(plan, facts): _scene(plan, facts), _stages_caption(plan): _stages(plan)}


def field_nm(plan: Plan) -> ZyxFloat:
    """Receptive field of the plan's network, (z, y, x)."""
    return _nm(receptive_field(plan.network, plan.patch), plan.working_voxel_size_nm)


def _scene_caption(plan: Plan, facts: InstanceFacts | None) -> str:
    size = plan.working_voxel_size_nm
    parts = [
        f"To scale. The patch, {times(plan.patch)} voxels, spans {times(_nm(plan.patch, size))} nm (z, y, x)",
        f"an output voxel depends on {times(field_nm(plan))} nm at most",
    ]
    if facts and facts.diameter_nm:
        long = f" and {facts.extent_nm['p50']:.0f} nm long" if facts.extent_nm else ""
        long += ", more than is drawn" if facts.extent_nm and facts.extent_nm["p50"] > min(_reach(plan, facts)) else ""
        parts.append(f"the median object is {facts.diameter_nm['p50']:.0f} nm wide{long}")
    sections = [f"each line across the patch is a section of {size[plan.cutting_axis]:g} nm"] if _sectioned(plan) else []
    return "; ".join(parts + sections) + "."


def _stages_caption(plan: Plan) -> str:
    down, cut = AXES[_across(plan)], AXES[plan.cutting_axis]
    return (
        f"The network's stages, fine to coarse: the feature map in voxels, a bar as long as it is on {down}, "
        f"and the voxels' size, drawn {down} down and {cut} across."
    )


def _scene(plan: Plan, facts: InstanceFacts | None) -> str:
    """Two faces that share an axis, at one scale: in the plane of the sections, and across them."""
    from matplotlib.figure import Figure

    size, field = plan.working_voxel_size_nm, field_nm(plan)
    patch = _nm(plan.patch, size)
    cut = plan.cutting_axis
    down, across = (i for i in range(3) if i != cut)
    reach = _reach(plan, facts)
    widths = [reach[across], max(reach[cut], LEAST_PANEL_SHARE * reach[across])]
    figure = Figure(figsize=(WIDTH, WIDTH * reach[down] / sum(widths) + 0.95), layout="constrained")
    panels = figure.subplots(1, 2, width_ratios=widths, sharey=True)
    for axes, width, (vertical, horizontal) in zip(panels, widths, [(down, across), (down, cut)], strict=True):
        _panel(axes, (reach[vertical], width), AXES[vertical] + AXES[horizontal])
        for axis in [cut] if _sectioned(plan) and horizontal == cut else []:
            _section_lines(axes, plan.patch[axis], size[axis], patch[vertical])
        _face(axes, (patch[vertical], patch[horizontal]), INK, "patch", fill=True)
        _face(axes, (field[vertical], field[horizontal]), FIELD, "receptive field", style=(0, (5, 2)))
        if facts:
            _objects(axes, facts, min(reach))
    _draw_bar(panels[0], reach)
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=2, fontsize=9, frameon=False)
    return svg(figure)


def _panel(axes: Any, extent: tuple[float, float], name: str) -> None:
    """An empty picture of so many nm, its middle at 0."""
    axes.set_xlim(-extent[1] / 2, extent[1] / 2)
    axes.set_ylim(extent[0] / 2, -extent[0] / 2)
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set_title(name, fontsize=10, color=SOFT)


def _reach(plan: Plan, facts: InstanceFacts | None) -> ZyxFloat:
    """Extent of the picture per axis in nm: of patch and receptive field, and of the objects unless they are far longer."""
    seen = [max(n) for n in zip(_nm(plan.patch, plan.working_voxel_size_nm), field_nm(plan), strict=True)]
    known = facts.extent_nm or facts.diameter_nm if facts else None
    longest = known["p50"] if known else 0.0
    z, y, x = (MARGIN * (max(n, longest) if longest <= MOST_BEYOND * max(seen) else n) for n in seen)
    return z, y, x


def _face(axes: Any, extent: tuple[float, float], color: str, name: str, *, fill: bool = False, style: Any = "-") -> None:
    """A rectangle around the middle, (vertical, horizontal) in nm."""
    from matplotlib.patches import Rectangle

    height, width = extent
    corner = (-width / 2, -height / 2)
    if fill:
        axes.add_patch(Rectangle(corner, width, height, facecolor=FILL, alpha=0.35, linewidth=0))
    axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=color, linewidth=1.5, linestyle=style, label=name))


def _objects(axes: Any, facts: InstanceFacts, room: float) -> None:
    """The median object: its inscribed diameter as a disc, its longest side as a box."""
    from matplotlib.patches import Circle

    if facts.diameter_nm:
        radius = facts.diameter_nm["p50"] / 2
        axes.add_patch(Circle((0, 0), radius, facecolor=OBJECT, alpha=0.55, linewidth=0, label="median object, width"))
    if facts.extent_nm and facts.extent_nm["p50"] <= room:
        side = facts.extent_nm["p50"]
        _face(axes, (side, side), OBJECT, "median object, length", style=(0, (1, 1.5)))


def _section_lines(axes: Any, sections: int, thickness: float, height: float) -> None:
    """The planes between sections."""
    edges = [(i - sections / 2) * thickness for i in range(1, sections)]
    axes.vlines(edges, -height / 2, height / 2, color=INK, linewidth=0.4, alpha=0.5)


def _draw_bar(axes: Any, reach: ZyxFloat) -> None:
    """A scale bar in the lower left corner, below the pictures."""
    length = scale_bar(reach[2])
    low, left = axes.get_ylim()[0], axes.get_xlim()[0]
    axes.plot([left, left + length], [low, low], color=INK, linewidth=3, solid_capstyle="butt", clip_on=False)
    text = f"{length / 1000:g} µm" if length >= 1000 else f"{length:g} nm"
    axes.annotate(text, (left, low), xytext=(0, -4), textcoords="offset points", va="top", fontsize=9, color=INK)


def _sectioned(plan: Plan) -> bool:
    """Whether voxels are longer on one axis, so that a person should see it."""
    return anisotropy(plan.working_voxel_size_nm) >= LEAST_ANISOTROPY and plan.patch[plan.cutting_axis] > 1


def _stages(plan: Plan) -> str:
    """A row for each stage: a bar as long as the feature map, the shape of a voxel, and words."""
    from matplotlib.figure import Figure

    scales = stage_scales(plan.network)
    figure = Figure(figsize=(WIDTH, ROW * len(scales)), layout="constrained")
    axes = figure.add_subplot()
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(len(scales) - 0.5, -0.5)
    for number, scale in enumerate(scales):
        voxel = _nm(scale, plan.working_voxel_size_nm)
        _pyramid_bar(axes, number, 1 / scale[_across(plan)])
        _voxel_shape(axes, number, (voxel[plan.cutting_axis], voxel[_across(plan)]))
        axes.text(0.0, number, str(number), fontsize=9, color=SOFT, va="center")
        above, below = _stage_words(plan, number, scale)
        axes.text(WORDS, number - 0.2, above, fontsize=9, va="center")
        axes.text(WORDS, number + 0.2, below, fontsize=8, color=SOFT, va="center")
    return svg(figure)


def _stage_words(plan: Plan, number: int, scale: Zyx) -> tuple[str, str]:
    """A stage's feature map, and its topology."""
    network = plan.network
    extent = [n // s for n, s in zip(plan.patch, scale, strict=True)]
    kernel, stride = _tight(network.kernels[number]), _tight(network.strides[number])
    return (
        f"{_tight(extent)} of {_tight(_nm(scale, plan.working_voxel_size_nm))} nm",
        f"{network.features[number]} features, kernel {kernel}, stride {stride}",
    )


def stage_scales(network: Network) -> list[Zyx]:
    """Voxels of the working grid in a voxel of each stage, per axis."""
    return list(itertools.accumulate(network.strides, lambda a, b: zyx([i * j for i, j in zip(a, b, strict=True)])))


def _pyramid_bar(axes: Any, row: int, share: float) -> None:
    from matplotlib.patches import Rectangle

    middle, width = PYRAMID
    axes.add_patch(Rectangle((middle - share * width / 2, row - 0.3), share * width, 0.6, facecolor=FILL, edgecolor=INK))


def _voxel_shape(axes: Any, row: int, extent: tuple[float, float]) -> None:
    """A voxel as wide as it is along the cutting axis and as high as in the plane, its longer side always the same."""
    from matplotlib.patches import Rectangle

    middle, widest = VOXEL
    wide, high = (n / max(extent) for n in extent)
    width, height = wide * widest, high * widest * WIDTH / ROW
    axes.add_patch(Rectangle((middle - width / 2, row - height / 2), width, height, facecolor=OBJECT, alpha=0.55, linewidth=0))


def _across(plan: Plan) -> int:
    """The last axis that is not cut."""
    return max(i for i in range(3) if i != plan.cutting_axis)


def _tight(numbers: Sequence[float]) -> str:
    return times(numbers).replace(" ", "")


def _nm(voxels: Sequence[int], size: ZyxFloat) -> ZyxFloat:
    z, y, x = (n * s for n, s in zip(voxels, size, strict=True))
    return z, y, x
