"""Which data set of a container is meant."""

from __future__ import annotations

import difflib

from pytc_auto.errors import DataError

Contents = dict[str, tuple[int, ...]]
"""Shape by key of every array of numbers with two axes or more; the key of the container itself is empty."""


def resolve_key(path: str, contents: Contents, key: str | None) -> str:
    """The key of the data set that is meant.

    Args:
        path: The container, for messages.
        contents: What it holds.
        key: What the user asked for; a group stands for the one data set inside it. None: the container's
            own array, else the only data set.

    Raises:
        DataError: There is none, or several, or not the one that was asked for.
    """
    wanted = (key or "").strip("/")
    if wanted in contents:
        return wanted
    inside = {k: s for k, s in contents.items() if not wanted or k.startswith(f"{wanted}/")}
    volumes = [k for k, shape in inside.items() if len(shape) in (2, 3)] or list(inside)
    if len(volumes) == 1:
        return volumes[0]
    if not contents:
        raise DataError(f"{path}: holds no array of numbers with two or three axes. Give another file.")
    if not volumes:
        close = difflib.get_close_matches(wanted, contents, n=1)
        hint = f" Did you mean {close[0]}?" if close else ""
        raise DataError(f"{path}: has no data set {wanted}.{hint} It holds {listing(contents)}.")
    raise DataError(
        f"{path}: holds several data sets: {listing(inside)}. Say which one, as {path}:{volumes[0]}; in a "
        "data set by image_key or labels_key in its dataset.yaml."
    )


def listing(contents: Contents) -> str:
    """Keys and shapes, for messages."""
    return ", ".join(f"{key or '(root)'} {shape}" for key, shape in sorted(contents.items()))
