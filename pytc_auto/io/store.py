"""Arrays that tensorstore reads: N5, neuroglancer precomputed, and zarr at a URL."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pytc_auto.geometry import Box
from pytc_auto.io import reader
from pytc_auto.io.axes import describe, find_axes
from pytc_auto.io.remote import context, context_json, is_forked, tensorstore
from pytc_auto.io.volume import Array, FileVolume, damaged, number_dtype


class StoreVolume(FileVolume):
    """An array that tensorstore reads, in this process or, where that was forked, in one beside it."""

    def __init__(self, spec: dict[str, Any], source: str, *, names: Sequence[str] | None, channel: int | None) -> None:
        """Look at the array.

        Args:
            spec: For tensorstore. Formats that list x first are turned, as NumPy has them in C order.
            source: For messages.
            names: Of the axes, once turned; see ``find_axes``.
            channel: See ``find_axes``.
        """
        self.source = source
        self.voxel_size_nm = None
        with damaged(source):
            library = tensorstore()
            store = library.open(spec, context=context(), read=True).result()
            store = store[library.d[:].translate_to[0]]
            store = store if spec["driver"].startswith("zarr") else store.T
            self.dtype = number_dtype(store.dtype.numpy_dtype, source)
            self.axes = find_axes(store.shape, names, channel, source)
            describe(self, self.axes, store.chunk_layout.read_chunk.shape)
            self.spec = store.spec().to_json()

    def _open(self) -> Any:
        if is_forked():
            return Reader(self.spec)
        return tensorstore().open(self.spec, context=context(), read=True).result()

    def _load(self, opened: Any, box: Box) -> Array:
        if not box.size:
            return np.empty(box.shape, self.dtype)
        index = self.axes.index(box)
        block = opened.read(index) if isinstance(opened, Reader) else opened[index].read().result()
        return self.axes.arranged(block, box.shape)


class Reader:
    """A process that reads an array for this one."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(Path(reader.__file__))], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self._ask({"spec": spec, "context": context_json()})

    def read(self, index: Sequence[int | slice]) -> Array:
        """What is at an index, the axes in stored order."""
        found, payload = self._ask([[i.start, i.stop] if isinstance(i, slice) else i for i in index])
        return np.frombuffer(payload, found["dtype"]).reshape(found["shape"])

    def close(self) -> None:
        """End the process."""
        with self._process:
            assert self._process.stdin is not None
            self._process.stdin.close()

    def _ask(self, question: Any) -> tuple[dict[str, Any], bytes]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(question).encode() + b"\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise ValueError(answer["error"])
        return answer, self._process.stdout.read(answer.get("bytes", 0))
