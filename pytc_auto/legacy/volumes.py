"""The volumes that a v1 configuration names: '@' between names, text files, globs of sections, JSON files of tiles."""

from __future__ import annotations

import glob
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytc_auto.legacy.config import V1Config

GLOBS = ("*.png", "*.tif")
"""File names that v1 took as patterns."""
TILE = ("{row}", "{column}")
CONVERT = "save them as one zarr, HDF5 or TIFF volume, and name it in dataset.yaml"


@dataclass(frozen=True)
class Named:
    """One volume of a configuration; whether its files are there is another matter.

    Attributes:
        image: Path, and ``:key`` in an HDF5 file.
        labels: The same; None without.
        held_out: Whether v1 validated on it.
        mask: The same, of what was labelled; None without.
    """

    image: str
    labels: str | None
    held_out: bool
    mask: str | None = None


@dataclass(frozen=True)
class NamedVolumes:
    """All volumes, and what must be said of their keys."""

    volumes: list[Named]
    told: list[tuple[str, str]]


def named_volumes(config: V1Config, folder: Path) -> NamedVolumes:
    """The volumes for training and validation.

    Args:
        config: For training.
        folder: That relative paths begin at; v1 took the one it was started in.
    """
    told: list[tuple[str, str]] = []
    volumes = []
    for prefix in ("", "VAL_"):
        images = _files(config, f"DATASET.{prefix}IMAGE_NAME", folder, told)
        labels = _files(config, f"DATASET.{prefix}LABEL_NAME", folder, told)
        if labels and len(labels) != len(images):
            text = f"{len(labels)} label volumes do not go with {len(images)} images; v1 itself refuses them. They are left out"
            told.append((f"DATASET.{prefix}LABEL_NAME", text))
            labels = []
        masks = _files(config, f"DATASET.{prefix}VALID_MASK_NAME", folder, told)
        if masks and len(masks) != len(images):
            text = f"{len(masks)} masks do not go with {len(images)} images; v1 itself refuses them. They are left out"
            told.append((f"DATASET.{prefix}VALID_MASK_NAME", text))
            masks = []
        none = [None] * len(images)
        each = zip(images, labels or none, masks or none, strict=True)
        volumes += [Named(image, label, held_out=bool(prefix), mask=mask) for image, label, mask in each]
    return NamedVolumes(volumes, told)


def _files(config: V1Config, key: str, folder: Path, told: list[tuple[str, str]]) -> list[str]:
    """The paths that a key names, as v1 finds them."""
    given = config[key]
    if given is None:
        return []
    folders = _listed(config["DATASET.INPUT_PATH"], folder, told, "DATASET.INPUT_PATH")
    names = [str(name) for name in given] if isinstance(given, list | tuple) else _listed(str(given), folder, told, key)
    if not config["DATASET.IS_ABSOLUTE_PATH"]:
        if len(folders) not in (1, len(names)):
            told.append(
                (key, f"{len(folders)} folders in DATASET.INPUT_PATH do not go with {len(names)} names; the first is taken")
            )
            folders = folders[:1]
        names = [
            str(Path(where) / name) for where, name in zip(folders * (len(names) if len(folders) == 1 else 1), names, strict=True)
        ]
    found = [path for name in names for path in _globbed(folder / name)]
    return [_opened(path, key, told) for path in found]


def _listed(name: str, folder: Path, told: list[tuple[str, str]], key: str) -> list[str]:
    """Names between '@', or the lines of a text file."""
    if not name.endswith(".txt"):
        return name.split("@")
    try:
        lines = (folder / name).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        told.append((key, f"the list {folder / name} cannot be read; give dataset.yaml the volumes"))
        return []
    return [line.strip() for line in lines if line.strip()]


def _globbed(path: Path) -> list[Path]:
    """The files of a pattern; the path itself where it is none."""
    if path.name not in GLOBS:
        return [path]
    return [Path(name) for name in sorted(glob.glob(str(path), recursive=True))] or [path]  # noqa: PTH207


def _opened(path: Path, key: str, told: list[tuple[str, str]]) -> str:
    """A path as our readers take it."""
    path = path.absolute()
    if path.suffix == ".json":
        return _tiles(path, key, told)
    if not path.exists():
        told.append((key, f"{path} is not there"))
        return str(path)
    return f"{path}:{first}" if path.suffix in (".h5", ".hdf5") and (first := _first_key(path)) else str(path)


def _first_key(path: Path) -> str | None:
    """The data set that v1 read of an HDF5 file: the first by name."""
    import h5py

    try:
        with h5py.File(path, "r") as file:
            return next(iter(file), None)
    except OSError:
        return None


def _tiles(path: Path, key: str, told: list[tuple[str, str]]) -> str:
    """The folder of the sections that a JSON file lists, where each is one file and the folder holds no others."""
    try:
        raw = json.loads(path.read_text(encoding="utf-8"))
        sections = [_section(pattern, raw) for pattern in raw["image"][: int(raw["depth"])]]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        told.append((key, f"{path} cannot be read as v1's list of tiles ({type(error).__name__}); {CONVERT}"))
        return str(path)
    if any(section is None for section in sections):
        told.append((key, f"{path} lists several tiles for a section, which are not read; {CONVERT}"))
        return str(path)
    return _folder([Path(str(section)) for section in sections], path, key, told)


def _section(pattern: Any, raw: dict[str, Any]) -> str | None:
    """The one file of a section; None where there are several tiles."""
    if not all(part in pattern for part in TILE):
        return str(pattern)
    single = raw["tile_size"] >= max(raw["height"], raw["width"]) and raw.get("tile_ratio", 1) == 1
    row, column = raw.get("tile_st", [0, 0])
    return str(pattern).replace(TILE[0], str(row)).replace(TILE[1], str(column)) if single else None


def _folder(sections: Sequence[Path], path: Path, key: str, told: list[tuple[str, str]]) -> str:
    """The folder of all sections, if reading it gives these sections in this order."""
    from pytc_auto.io.sections import section_paths

    folders = {(path.parent / section).parent if not section.is_absolute() else section.parent for section in sections}
    if len(folders) != 1:
        told.append((key, f"{path} lists sections of several folders, which are not read together; {CONVERT}"))
        return str(path)
    folder = folders.pop()
    if not folder.is_dir():
        told.append((key, f"{folder}, which {path.name} lists, is not there"))
    elif [found.name for found in section_paths(folder)] != [section.name for section in sections]:
        text = f"{folder} holds other sections than {path.name} lists, or in another order; give these a folder of their own"
        told.append((key, text))
    return str(folder)
