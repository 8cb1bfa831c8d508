"""Pickled graphs of other projects, read so that nothing in the file can run."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import numpy.typing as npt

from pytc_auto.errors import DataError
from pytc_auto.io.volume import damaged

_MOST_NESTED = 4
_MOST_ITEMS = 16
"""Of a tuple. It may be a key, and Python's hash of tuples within tuples knows no limit: a deep one crashes the process."""


class Record:
    """What stands in for an object of a listed class: its state, and no code.

    Attributes:
        state: What was pickled of the object; for most a dictionary of its attributes.
    """

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class DataType(Record):
    """Stands in for ``numpy.dtype``: numbers only."""

    def __init__(self, name: str, *_align_and_copy: Any) -> None:
        self.dtype = np.dtype(name)
        if self.dtype.kind not in "biuf":
            raise ValueError(f"an array of {self.dtype}, not of numbers")

    def __setstate__(self, state: Any) -> None:
        self.dtype = self.dtype.newbyteorder(state[1])


class Numbers(Record):
    """Stands in for ``numpy.ndarray``; ``numpy.asarray`` makes one of it."""

    def __setstate__(self, state: Any) -> None:
        _version, shape, kind, fortran, raw = state
        self.array = _array(raw, kind, shape, "F" if fortran else "C")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]:
        return np.array(self.array, dtype)


def _array(raw: bytes, kind: DataType, shape: tuple[int, ...], order: Any) -> npt.NDArray[Any]:
    return np.frombuffer(raw, kind.dtype).reshape(shape, order=order)


def _number(kind: DataType, raw: bytes) -> float:
    return _array(raw, kind, (), "C").item()


def _empty_array(*_class_shape_and_type: Any) -> Numbers:
    return Numbers()


def _encoded(text: str, encoding: str) -> bytes:
    if encoding != "latin1":
        raise ValueError(f"bytes written as {encoding}")
    return text.encode("latin1")


def _reconstructed(kind: Callable[[], Any], _base: Any, _state: Any) -> Any:
    return kind()


_VIEWS = {
    "networkx.classes.reportviews": ("NodeView", "EdgeView", "DegreeView", "OutEdgeView", "InEdgeView", "DiDegreeView"),
    "networkx.classes.coreviews": ("AdjacencyView", "AtlasView"),
}
_LISTED: dict[tuple[str, str], Callable[..., Any]] = {
    ("networkx.classes.graph", "Graph"): Record,
    ("networkx.classes.digraph", "DiGraph"): Record,
    **{(module, name): Record for module, names in _VIEWS.items() for name in names},
    ("numpy", "dtype"): DataType,
    ("numpy", "ndarray"): Numbers,
    **{(f"numpy.{core}.multiarray", "_reconstruct"): _empty_array for core in ("core", "_core")},
    **{(f"numpy.{core}.multiarray", "scalar"): _number for core in ("core", "_core")},
    **{(f"numpy.{core}.numeric", "_frombuffer"): _array for core in ("core", "_core")},
    ("_codecs", "encode"): _encoded,
    **{(module, "_reconstructor"): _reconstructed for module in ("copyreg", "copy_reg")},
    **{(module, kind.__name__): kind for module in ("builtins", "__builtin__") for kind in (dict, list, set, frozenset, object)},
    ("collections", "OrderedDict"): OrderedDict,
    ("collections", "defaultdict"): defaultdict,
}
"""All that a file may name. Numbers, strings and tuples need no name."""


def load_pickle(path: Path) -> Any:
    """The object in a pickle file, of plain containers, numbers, strings and :class:`Record`.

    Nothing is imported and nothing called but what this module lists; networkx need not be there. Unpickling in plain Python
    is about five times slower than in C, but can look at every step: a file cannot crash the process.

    Raises:
        DataError: It names anything that is not listed, nests tuples too deep, is truncated or no pickle.
    """
    with damaged(str(path)):
        return _Restricted(path).load()


class _Restricted(pickle._Unpickler):
    stack: list[Any]
    dispatch: ClassVar[dict[int, Callable[[Any], None]]] = dict(pickle._Unpickler.dispatch)

    def __init__(self, path: Path) -> None:
        super().__init__(io.BytesIO(path.read_bytes()))
        self.source = path

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _LISTED:
            self.refuse(f"asks for {module}.{name}")
        return _LISTED[module, name]

    def refuse(self, reason: str) -> NoReturn:
        raise DataError(
            f"{self.source}: {reason}, which a file of skeletons has no need of; nothing in it was run. "
            "Do not open it elsewhere; get it from its source again, or export the skeletons as SWC."
        )

    def load_build(self) -> None:
        state = self.stack.pop()
        if not isinstance(self.stack[-1], Record):
            self.refuse(f"changes an object of type {type(self.stack[-1]).__name__}")
        self.stack[-1].__setstate__(state)

    def load_extension(self) -> None:
        self.refuse("asks for a registered extension")


def _with_bounded_tuple(load: Callable[[Any], None]) -> Callable[[Any], None]:
    def bounded(unpickler: Any) -> None:
        load(unpickler)
        made = unpickler.stack[-1]
        if len(made) > _MOST_ITEMS or _nesting(made) > _MOST_NESTED:
            unpickler.refuse(f"has a tuple of more than {_MOST_ITEMS} items or one nested more than {_MOST_NESTED} deep")

    return bounded


def _nesting(value: Any) -> int:
    return 1 + max(map(_nesting, value), default=0) if isinstance(value, tuple) else 0


for _code in (pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3):
    _Restricted.dispatch[_code[0]] = _with_bounded_tuple(pickle._Unpickler.dispatch[_code[0]])
for _code in (pickle.EXT1, pickle.EXT2, pickle.EXT4):
    _Restricted.dispatch[_code[0]] = _Restricted.load_extension
_Restricted.dispatch[pickle.BUILD[0]] = _Restricted.load_build
