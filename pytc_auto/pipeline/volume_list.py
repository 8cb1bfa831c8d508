"""Which volumes the arguments of ``pytc predict`` mean, and where the result of each goes."""

from __future__ import annotations

import glob
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pytc_auto.errors import DataError, OutputError
from pytc_auto.io.open import format_of, locate, open_volume, stem
from pytc_auto.io.pairing import side_of
from pytc_auto.io.remote import is_url
from pytc_auto.io.sections import section_paths

LIST = ".txt"


@dataclass(frozen=True)
class VolumeList:
    """Volumes to segment.

    Attributes:
        paths: For ``open_volume``; they need not be there.
        single: Whether one volume was named, by its own path: then the output is its result, else a folder of results.
    """

    paths: tuple[str, ...]
    single: bool

    def targets(self, out: Path) -> list[Path]:
        """Where the result of each volume goes.

        Raises:
            OutputError: Two would go to the same place, or the folder is the result of a single volume.
        """
        if self.single:
            return [out]
        if (out / "zarr.json").is_file():
            raise OutputError(f"{out}: is the result of a single volume. For several give another -o, a folder.")
        taken: dict[str, str] = {}
        for path in self.paths:
            name = _name(path)
            if name in taken:
                raise OutputError(
                    f"{out / name}: would be the result of both {taken[name]} and {path}. Predict them into different outputs."
                )
            taken[name] = path
        return [out / name for name in taken]


def find_volumes(arguments: Sequence[str | Path]) -> VolumeList:
    """The volumes that arguments mean, in their order.

    Args:
        arguments: Volumes, as ``open_volume`` takes them; globs; folders of volumes; text files (.txt) that list any of these,
            one on each line, from the list's own folder, ``#`` before a comment.

    Raises:
        DataError: A glob, a folder or a list holds no volume, or a list cannot be read.
    """
    found = [str(path) for argument in arguments for path in _expanded(str(argument))]
    return VolumeList(tuple(found), single=found == [str(argument) for argument in arguments] and len(found) == 1)


def _expanded(argument: str) -> Iterator[str]:
    """What one argument means."""
    path = Path(argument)
    if not is_url(argument) and path.suffix.lower() == LIST and path.is_file():
        yield from _listed(path)
    else:
        yield from _searched(argument)


def _listed(file: Path) -> Iterator[str]:
    """What the lines of a list mean."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as a list of volumes ({error}). Write one path on each line.") from error
    named = [line for line in (text.partition("#")[0].strip() for text in lines) if line]
    if not named:
        raise DataError(f"{file}: lists no volume. Write one path on each line.")
    for line in named:
        yield from _searched(line if is_url(line) else str(file.parent / line))


def _searched(argument: str) -> Iterator[str]:
    """The volumes of a glob or of a folder, else the argument itself."""
    path = Path(argument)
    if is_url(argument) or path.is_file():
        yield argument
    elif path.is_dir():
        yield from [argument] if _is_volume(path) else _in_folder(path)
    elif glob.has_magic(argument):
        yield from _matching(argument)
    else:
        yield argument


def _matching(pattern: str) -> Iterator[str]:
    """What a glob matches, in order; it may end in the key of a data set."""
    for before, colon, key in ((pattern, "", ""), pattern.rpartition(":")):
        found = sorted(glob.glob(before, recursive=True)) if before else []  # noqa: PTH207 a pattern may be absolute
        if found:
            yield from (f"{path}{colon}{key}" for path in found)
            return
    raise DataError(f"{pattern}: matches nothing. Check the pattern.")


def _is_volume(folder: Path) -> bool:
    """Whether a folder is one volume. Images in it are its sections, unless each is a volume by itself."""
    kind = format_of(folder)
    return kind is not None and not (kind == "sections" and open_volume(section_paths(folder)[0]).shape[0] > 1)


def _in_folder(folder: Path) -> list[str]:
    """The volumes in a folder."""
    found = [str(path) for paths in side_of(folder).found.values() for path in paths]
    if not found:
        hint = f" Did you mean {folder / 'images'}?" if (folder / "images").is_dir() else ""
        raise DataError(f"{folder}: holds no volume. Give the folder that holds them.{hint}")
    return found


def _name(path: str) -> str:
    """A volume's name without suffix and key."""
    try:
        place, _ = locate(path)
    except DataError:
        place = Path(path)
    return stem(place)
