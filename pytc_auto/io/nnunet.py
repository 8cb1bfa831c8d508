"""nnU-Net's raw data sets: imagesTr/NAME_0000.ext, one file a channel, labelsTr/NAME.ext, and dataset.json."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pytc_auto.errors import DataError
from pytc_auto.io.open import KNOWN_FORMATS
from pytc_auto.io.pairing import Layout, Side, matched, side_of
from pytc_auto.io.volume import damaged
from pytc_auto.schema.dataset import Declared

IMAGES, LABELS = "imagesTr", "labelsTr"
_CHANNEL = re.compile(r"(.+)_(\d{4})")
_Cases = dict[str, dict[int, list[Path]]]
"""Files by case and channel."""


@dataclass(frozen=True)
class _Told:
    """What dataset.json tells.

    Attributes:
        class_names: By label value.
        ignored: The value of the label called ignore.
        regions: Names of sets of values.
        channels: Names by number.
        file_ending: Of all files.
    """

    class_names: dict[int, str] = field(default_factory=dict)
    ignored: list[int] = field(default_factory=list)
    regions: list[str] = field(default_factory=list)
    channels: dict[int, str] = field(default_factory=dict)
    file_ending: str = ""


def nnunet_layout(root: Path, declared: Declared) -> Layout:
    """The training cases of a raw data set; imagesTs is left alone.

    Class names and the ignore label are taken from dataset.json where dataset.yaml is silent. Where cases have several channels,
    one file each, ``channel`` chooses the file; the first one is used where it is not declared.

    Raises:
        DataError: There is no case, a case has no such channel, labels have no image, or dataset.json is damaged.
    """
    told = _told(root / "dataset.json")
    cases = _cases(_of_ending(side_of(root / IMAGES), told))
    if not cases:
        ending = f" that ends in {told.file_ending} (file_ending in dataset.json)" if told.file_ending else ""
        raise DataError(f"{root / IMAGES}: holds nothing readable{ending}. Put the images here; known: {KNOWN_FORMATS}.")
    images, declared, remarks = _one_channel(cases, declared, told, root / IMAGES)
    if told.regions:
        names = ", ".join(told.regions)
        remarks.append(f"{root / 'dataset.json'}: the regions {names} are left out; label values are learned as they are stored.")
    declared = declared.replace(
        class_names=declared.class_names or told.class_names, unlabeled=declared.unlabeled or told.ignored
    )
    return Layout(matched(images, _of_ending(side_of(root / LABELS), told), declared), declared, remarks)


def _told(path: Path) -> _Told:
    """What dataset.json tells, version 1 or 2; nothing where there is none.

    Raises:
        DataError: It is damaged.
    """
    if not path.is_file():
        return _Told()
    with damaged(str(path)):
        raw = json.loads(path.read_text(encoding="utf-8"))
        labels = _by_name(raw.get("labels", {}))
        channels = raw.get("channel_names", raw.get("modality", {}))
        return _Told(
            class_names={v: name for name, v in labels.items() if isinstance(v, int) and name != "ignore"},
            ignored=[v for name, v in labels.items() if isinstance(v, int) and name == "ignore"],
            regions=[name for name, v in labels.items() if not isinstance(v, int)],
            channels={int(number): str(name) for number, name in channels.items()},
            file_ending=str(raw.get("file_ending", "")),
        )


def _by_name(labels: Mapping[str, Any]) -> dict[str, Any]:
    """Values by name; version 1 has names by value."""
    return {v if isinstance(v, str) else k: int(k) if isinstance(v, str) else v for k, v in labels.items()}


def _of_ending(side: Side, told: _Told) -> Side:
    """The files that end as dataset.json says."""
    kept = {name: [p for p in paths if p.name.endswith(told.file_ending)] for name, paths in side.found.items()}
    return Side(side.folder, {name: paths for name, paths in kept.items() if paths})


def _cases(images: Side) -> _Cases:
    """The cases of a folder; a name without a channel is a case of one."""
    cases: _Cases = {}
    for name, paths in images.found.items():
        match = _CHANNEL.fullmatch(name)
        case, channel = (match[1], int(match[2])) if match else (name, 0)
        cases.setdefault(case, {}).setdefault(channel, []).extend(paths)
    return cases


def _one_channel(cases: _Cases, declared: Declared, told: _Told, folder: Path) -> tuple[Side, Declared, list[str]]:
    """The cases with one file each. Where they have several, the channel is settled by the choice, and not declared any more.

    Raises:
        DataError: A case does not have the declared channel; all such are named.
    """
    numbers = sorted({number for files in cases.values() for number in files})
    if len(numbers) == 1:
        return Side(folder, {case: files[numbers[0]] for case, files in cases.items()}), declared, []
    channel = numbers[0] if declared.channel is None else declared.channel
    lacking = [
        f"{folder / case}: has no channel {channel} (_{channel:04d}), only {', '.join(map(str, sorted(files)))}. "
        "Mend channel in dataset.yaml, or add the file."
        for case, files in cases.items()
        if channel not in files
    ]
    if lacking:
        raise DataError("\n".join(lacking))
    named = ", ".join(f"{n} ({told.channels[n]})" if n in told.channels else str(n) for n in numbers)
    remark = f"{folder}: of the channels {named}, {channel} is used. For another, say channel: N in dataset.yaml."
    images = Side(folder, {case: files[channel] for case, files in cases.items()})
    return images, declared.replace(channel=None), [remark] if declared.channel is None else []
