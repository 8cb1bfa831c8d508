"""``pytc view``: a run, an output or data in neuroglancer."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from pytc_auto.errors import OutputError
from pytc_auto.geometry import ZyxFloat
from pytc_auto.io.remote import is_url
from pytc_auto.pipeline.runs import find_run
from pytc_auto.pipeline.view_layers import View, data_layers, is_output, output_layers, outputs_in, run_layers
from pytc_auto.progress import Progress, silent
from pytc_auto.viewer.layer import Layer


@dataclass(frozen=True)
class Viewing:
    """A page that is being served; leaving the context ends it.

    Attributes:
        layers: Their names.
    """

    layers: tuple[str, ...]
    _viewer: Any
    """The server forgets a viewer that nobody holds."""
    _copies: tempfile.TemporaryDirectory[str]

    @property
    def url(self) -> str:
        """Where to look."""
        url: str = self._viewer.get_viewer_url()
        return url

    def close(self) -> None:
        """Stop the server; copies that were made for it are dropped."""
        import neuroglancer

        neuroglancer.stop()
        self._copies.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def view(
    what: str | Path,
    *,
    runs: str | Path = "runs",
    voxel_size_nm: ZyxFloat | None = None,
    port: int = 0,
    say: Callable[[str], None] = lambda _: None,
    progress: Progress = silent,
) -> Viewing:
    """Show volumes in neuroglancer; voxels are read when they are looked at.

    Args:
        what: An output of ``pytc predict``, a run's name, its folder or plan, a data set, or any volume.
        runs: Folder of all runs.
        voxel_size_nm: (z, y, x), where data do not tell.
        port: Of the server on this machine; 0 takes one that is free.
        say: Told what a person should know.
        progress: Told how far the copy of a volume is that cannot be read by box.

    Raises:
        DataError: Data cannot be read.
        PlanError: There is no such run.
        OutputError: neuroglancer is not installed, the port is taken, or the output is empty or one of several.
    """
    try:
        from pytc_auto.viewer.scene import show
    except ImportError as error:
        raise OutputError("pytc view needs neuroglancer. Run: pip install 'pytc-auto[view]'") from error
    copies = tempfile.TemporaryDirectory(prefix="pytc-view-")
    try:
        layers = _layers(what, Path(runs), View(Path(copies.name), voxel_size_nm, say, progress))
        viewer = show(layers, port=port)
    except BaseException:
        copies.cleanup()
        raise
    return Viewing(tuple(layer.name for layer in layers), viewer, copies)


def _layers(what: str | Path, runs: Path, view: View) -> list[Layer]:
    """What an argument means: an output, a run, a folder with an output, or data, in this order.

    Raises:
        OutputError: It is a folder of several outputs.
    """
    path = Path(what)
    if is_url(what):
        return data_layers(what, view)
    if is_output(path):
        return output_layers(path, view)
    if _is_run(path) or not (path.exists() or _names_a_key(path)):
        return run_layers(find_run(what, runs), view)
    outputs = outputs_in(path)
    if len(outputs) > 1:
        raise OutputError(f"{path}: holds several outputs. Name one: {', '.join(map(str, outputs))}.")
    return output_layers(outputs[0], view) if outputs else data_layers(what, view)


def _is_run(path: Path) -> bool:
    return path.suffix in (".yaml", ".yml") or (path / "plan.yaml").is_file()


def _names_a_key(path: Path) -> bool:
    """Whether a path names a data set inside a container that is there."""
    before, colon, _ = str(path).rpartition(":")
    return bool(colon) and Path(before).exists()
