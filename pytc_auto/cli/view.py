"""pytc view."""

from __future__ import annotations

import contextlib
import threading
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from pytc_auto.cli.screen import bars, screen
from pytc_auto.options import RunsOption, VoxelSizeOption


def view(  # noqa: PLR0913, PLR0917
    what: Annotated[str, typer.Argument(help="run, output of pytc predict, data folder or volume", metavar="RUN|OUT|DATA")],
    augment: Annotated[
        bool, typer.Option("--augment", help="every effect of the augmentation on these data, as a picture instead")
    ] = False,
    out: Annotated[Path, typer.Option("--out", "-o", help="PNG picture to write with --augment")] = Path("augmentation.png"),
    port: Annotated[int, typer.Option(min=0, max=65535, help="of the page on this machine; 0 takes a free one")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open the page")] = True,
    runs: RunsOption = Path("runs"),
    voxel_size: VoxelSizeOption = None,
) -> None:
    """Look at volumes, labels and results in neuroglancer, or at what a training sees."""
    if augment:
        from pytc_auto.pipeline.augmentation_sheet import augmentation_sheet

        with bars() as shown:
            sheet = augmentation_sheet(what, out, runs=runs, voxel_size_nm=voxel_size, say=shown.say, progress=shown)
        screen().print(f"Look at {sheet}")
        return
    from pytc_auto.pipeline.view import view as run

    with bars() as shown:
        viewing = run(what, runs=runs, voxel_size_nm=voxel_size, port=port, say=shown.say, progress=shown)
    with viewing, contextlib.suppress(KeyboardInterrupt):
        console = screen()
        console.print(f"Layers: {', '.join(viewing.layers)}", markup=False)
        console.print(f"Look at {viewing.url}\nCtrl-C ends it.", markup=False, soft_wrap=True)
        if browser:
            webbrowser.open(viewing.url)
        threading.Event().wait()
