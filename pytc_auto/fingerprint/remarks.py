"""What a person should know of the data before a plan is made, in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pytc_auto.fingerprint.defects import Defects
from pytc_auto.fingerprint.intensity import NotFinite
from pytc_auto.fingerprint.measurement import Measurement
from pytc_auto.geometry import AXES, SECTIONS_FROM, anisotropy
from pytc_auto.schema.fingerprint import Fingerprint, LabelFacts, VolumeFacts

MOST_NAMED = 5
LITTLE_FOREGROUND = 0.01
LEAST_TOUCHING = 0.01
"""Share of the labelled surface that touches another object."""
APART = "label what lies around some of them, too, and declare unlabeled: [0]; without that nothing shows where objects end."
MUCH_PADDING = 0.01
MOSTLY_SPECKS = 0.9
SPECK_VOXELS = 3.0
SPECKS_PER_VALUE = 3
"""Gray values: so many of the pieces are tiny, half of the voxels lie in pieces no wider than this, each value in many."""
MUCH_SATURATION = 0.02
MOST_SKELETONS = 0.5


def remarks(measurement: Measurement) -> list[str]:
    """All remarks, each one a sentence or two; what makes a training pointless comes first."""
    fingerprint = measurement.fingerprint
    found = _of_gray_labels(fingerprint) + _of_order(fingerprint)
    for volume, view in zip(fingerprint.volumes, measurement.volumes, strict=True):
        found += _of_not_finite(volume.name, view.not_finite)
        found += _of_sections(volume.name, view.sections.defects)
        found += _of_volume(volume)
    without = [v.name for v in fingerprint.volumes if not v.labelled]
    if without:
        found.append(f"Without labels: {listed(without)}. Nothing is learned from them.")
    found += _of_intensity(fingerprint) + _of_labels(fingerprint.labels, fingerprint.unlabeled) + _of_skeletons(fingerprint)
    return found + _of_sample(fingerprint)


def _of_order(fingerprint: Fingerprint) -> list[str]:
    """Sections that are not those of z although fewer lie along z, as they seem to be where a voxel size is given as x, y, z."""
    size, cut = fingerprint.voxel_size_nm, fingerprint.cutting_axis
    fewer = [v.shape is not None and v.shape[0] < v.shape[cut] for v in fingerprint.volumes]
    if anisotropy(size) < SECTIONS_FROM or not all(fewer):
        return []
    told, order = ", ".join(f"{s:g}" for s in size), list(size)
    order[0], order[cut] = order[cut], order[0]
    return [
        f"The voxel size is {told} nm (z, y, x), so sections lie along {AXES[cut]}. If they lie along z, its order is another: "
        f"give --voxel-size {','.join(f'{s:g}' for s in order)}."
    ]


def _of_gray_labels(fingerprint: Fingerprint) -> list[str]:
    """Labels that fall into specks, each value into many, as gray values do."""
    labels = fingerprint.labels
    if labels is None or labels.kind not in ("instances", "classes"):
        return []
    tiny, diameter = labels.instances.tiny_fraction, labels.instances.diameter_nm
    if tiny is None or diameter is None or tiny < MOSTLY_SPECKS:
        return []
    finest = min(min(v.voxel_size_nm) for v in fingerprint.volumes if v.labelled)
    if diameter["p50"] > SPECK_VOXELS * finest:
        return []
    ids, components = labels.ids or 0, labels.components
    if components is not None and components < SPECKS_PER_VALUE * ids:
        return []
    pieces = "pieces" if components is None else f"{components:,} pieces"
    return [
        f"The labels look like gray values, not labels: {ids:,} values in {pieces}, {tiny:.0%} of fewer than 64 voxels. "
        "Nothing can be learned from such. Check that the file is not the image, and that ids were never interpolated or "
        "compressed with loss."
    ]


def _of_not_finite(name: str, lost: NotFinite | None) -> list[str]:
    """Gray values that are no numbers."""
    if lost is None:
        return []
    some = f"{lost.voxels} of {lost.read} voxels that were read are" if lost.voxels > 1 else "1 voxel is"
    return [
        f"{name}: {some} NaN or infinite, the first in section {lost.section} (counted from 0). Training takes NaN for the mean "
        "gray value and infinite ones for the ends of the clip; pytc predict leaves 0 where a volume is NaN. "
        "Replace them in the files if they are a mistake."
    ]


def _of_sections(name: str, defects: Defects) -> list[str]:
    """Sections that stand out."""
    found = []
    if defects.missing:
        found.append(f"{_sections(defects.missing, name)} blank.")
    found += [f"Sections {s - 1} and {s} of {name} are nearly the same." for s in defects.duplicate[:MOST_NAMED]]
    if len(defects.duplicate) > MOST_NAMED:
        found.append(f"{len(defects.duplicate) - MOST_NAMED} more sections of {name} are nearly the same as the one before.")
    for sections, word in ((defects.dark, "darker"), (defects.bright, "brighter")):
        if sections:
            found.append(f"{_sections(sections, name)} {_contrast(defects, sections)} {word} than {_its(sections)} neighbors.")
    if defects.blurred:
        found.append(f"{_sections(defects.blurred, name)} blurred.")
    steps = [s for s in defects.shifted if s not in defects.slipped]
    if defects.slipped:
        far = _range([defects.shift_nm[s] for s in defects.slipped], "nm")
        found.append(f"{_sections(defects.slipped, name)} shifted by {far} against {_its(defects.slipped)} neighbors.")
    found += [f"From section {s} on, {name} is shifted by {defects.shift_nm[s]:.0f} nm." for s in steps[:MOST_NAMED]]
    if len(steps) > MOST_NAMED:
        found.append(f"{len(steps) - MOST_NAMED} more sections of {name} are shifted against the one before.")
    return found


def _of_volume(volume: VolumeFacts) -> list[str]:
    found = []
    if volume.blank_label_sections:
        noun = "sections" if len(volume.blank_label_sections) > 1 else "section"
        numbers = listed(volume.blank_label_sections)
        found.append(f"{volume.name}: the labels of {noun} {numbers} (counted from 0) are blank. They count as unlabeled.")
    if volume.labels_shift_nm is not None:
        way = ", ".join(f"{s:+.0f} nm on {a}" for a, s in zip(AXES, volume.labels_shift_nm, strict=True) if s)
        found.append(f"{volume.name}: the labels look shifted by {way} against the image.")
    return found


def _of_intensity(fingerprint: Fingerprint) -> list[str]:
    facts = fingerprint.intensity
    if facts is None:
        return []
    found = []
    if facts.padding_value is not None and facts.padding_fraction is not None and facts.padding_fraction >= MUCH_PADDING:
        found.append(
            f"{facts.padding_fraction:.1%} of the voxels are padding of the value {facts.padding_value:g}. "
            "It is left out of mean, deviation and percentiles."
        )
    if facts.inverted:
        found.append("The contrast is inverted: membranes are bright. Models trained on dark membranes will not fit.")
    if facts.saturated_fraction is not None and facts.saturated_fraction >= MUCH_SATURATION:
        found.append(f"{facts.saturated_fraction:.1%} of the voxels are saturated: they have the lowest or the highest value.")
    return found


def _of_labels(labels: LabelFacts | None, unlabeled: Sequence[int]) -> list[str]:
    if labels is None:
        return []
    found = []
    if labels.foreground_fraction is not None and labels.foreground_fraction < LITTLE_FOREGROUND:
        found.append(f"Only {labels.foreground_fraction:.2%} of the labelled voxels are foreground.")
    if labels.kind == "skeletons":
        found.append("The labels are lines, not regions: skeletons.")
    elif labels.kind == "instances" and 0 in unlabeled and _apart(labels):
        found.append(
            "0 is declared as not labelled, and hardly any labelled objects touch: nothing shows a network where objects end. "
            "Label what lies around some of them, too, or, where 0 is background, do not declare it."
        )
    elif labels.coverage == "sparse":
        said = "Only some of the objects seem to be labelled. If 0 means that nobody looked: "
        found.append(said + (APART if _apart(labels) else "declare unlabeled: [0]."))
    found += [
        f"Label value {c.value} looks like 'not labelled' ({c.reason}; {c.fraction:.1%} of the voxels): "
        f"declare unlabeled: [{c.value}] in dataset.yaml, or, if it is background, plan with labels.background=[{c.value}]."
        for c in (labels.ignore_candidates or [])[:MOST_NAMED]
    ]
    return found


def _apart(labels: LabelFacts) -> bool:
    """Whether objects hardly touch, so that without background there is no border to learn from."""
    touching = labels.instances.touching_fraction
    return touching is not None and touching < LEAST_TOUCHING


def _of_skeletons(fingerprint: Fingerprint) -> list[str]:
    facts = fingerprint.skeletons
    if facts is None:
        return []
    found = []
    labelled = sum(v.labelled for v in fingerprint.volumes)
    if facts.volumes is not None and facts.volumes < labelled:
        found.append(f"Of {labelled} labelled volumes only {facts.volumes} have skeletons: run lengths choose nothing.")
    if facts.labelled_fraction is not None and facts.labelled_fraction < MOST_SKELETONS:
        found.append(
            f"Only {facts.labelled_fraction:.0%} of the skeletons' length lies in the labelled part of its volume; "
            "nothing is scored on the rest."
        )
    return found


def _of_sample(fingerprint: Fingerprint) -> list[str]:
    found = []
    if fingerprint.sampled_fraction is not None and fingerprint.sampled_fraction < 1:
        found.append(f"The volumes are large: {fingerprint.sampled_fraction:.2%} of their voxels were measured.")
    if fingerprint.labels and fingerprint.labels.counted_from == "sample":
        found.append("The labels have no level small enough to be counted whole: ids and sizes are those of the sample.")
    return found


def _sections(numbers: Sequence[int], name: str) -> str:
    return f"Section{'s' if len(numbers) > 1 else ''} {listed(numbers)} of {name} {'are' if len(numbers) > 1 else 'is'}"


def _its(numbers: Sequence[int]) -> str:
    return "their" if len(numbers) > 1 else "its"


def listed(items: Sequence[object]) -> str:
    """A list in words, a long one shortened."""
    if len(items) <= MOST_NAMED + 1:
        return ", ".join(map(str, items))
    return f"{', '.join(map(str, items[:MOST_NAMED]))} and {len(items) - MOST_NAMED} more"


def _contrast(defects: Defects, sections: Sequence[int]) -> str:
    shares = [abs(defects.contrast[s]) * 100 for s in sections]
    return _range(shares, "%") if all(map(math.isfinite, shares)) else "clearly"


def _range(values: Sequence[float], unit: str) -> str:
    low, high = f"{min(values):.0f}", f"{max(values):.0f}"
    return f"{low} {unit}" if low == high else f"{low} to {high} {unit}"
