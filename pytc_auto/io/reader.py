"""Reads boxes of one array for a process that cannot use tensorstore itself. Run as a script; see ``store.Reader``.

Lines of JSON come in: first the array's spec and the context, then one index a line, [start, stop] or a number for each axis. For
each line one of JSON goes out: ``error``, or dtype, shape and the number of bytes that follow.
"""

from __future__ import annotations

import json
import sys
from typing import Any, BinaryIO


def main(lines: BinaryIO, out: BinaryIO) -> None:
    """Answer until there are no more lines."""
    store = None
    for line in lines:
        payload, answer = b"", {}
        try:
            asked = json.loads(line)
            if store is None:
                store = _open(asked)
            else:
                array = store[tuple(slice(*i) if isinstance(i, list) else i for i in asked)].read(order="C").result()
                payload = array.tobytes()
                answer = {"dtype": array.dtype.str, "shape": array.shape, "bytes": len(payload)}
        except Exception as error:
            answer = {"error": str(error)}
        out.write(json.dumps(answer).encode() + b"\n" + payload)
        out.flush()


def _open(asked: dict[str, Any]) -> Any:
    import tensorstore

    return tensorstore.open(asked["spec"], context=tensorstore.Context(asked["context"]), read=True).result()


if __name__ == "__main__":
    main(sys.stdin.buffer, sys.stdout.buffer)
