"""Layers on a page of neuroglancer, from a server on this machine."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Any

import neuroglancer

from pytc_auto.errors import OutputError
from pytc_auto.viewer.layer import Layer
from pytc_auto.viewer.served import Served

ADDRESS = "127.0.0.1"

_WINDOW = 500
"""Pixels of a panel that a volume fills, about."""
_WIDEST = 4.0
"""Voxels in a pixel at first, of a volume without coarser levels."""
_OPAQUE = 0.35
_GRAY = "#uicontrol invlerp normalized\nvoid main() { emitGrayscale(normalized()); }"
_COLORS = "void main() { emitRGB(vec3(%s)); }"


def show(layers: Sequence[Layer], *, port: int = 0) -> Any:
    """Serve layers until ``neuroglancer.stop`` is called.

    Args:
        layers: One at least; the first one's middle is in view.
        port: Of the server; 0 takes one that is free.

    Returns:
        neuroglancer's viewer; ``get_viewer_url`` tells where to look. It is served as long as it is held.

    Raises:
        OutputError: The port is taken.
    """
    _refuse_taken(port)
    neuroglancer.set_server_bind_address(ADDRESS, port)
    viewer = neuroglancer.Viewer()
    with viewer.txn() as state:
        for layer in layers:
            state.layers.append(name=layer.name, layer=_drawn(layer), visible=layer.visible)
        _place(state, layers[0])
    return viewer


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise OutputError(f"port {port} cannot be used ({error.strerror}). Give another --port, or leave it out.") from error


def _drawn(layer: Layer) -> Any:
    """A layer as neuroglancer has it."""
    source = Served(layer)
    if layer.look == "labels":
        return neuroglancer.SegmentationLayer(source=source, selected_alpha=_OPAQUE, not_selected_alpha=0)
    if layer.look == "image":
        return neuroglancer.ImageLayer(
            source=source, shader=_GRAY, shader_controls={"normalized": {"range": layer.contrast}}, opacity=1
        )
    count = source.shape[0]
    values = [f"toNormalized(getDataValue({min(n, count - 1)}))" for n in range(3)]
    return neuroglancer.ImageLayer(source=source, shader=_COLORS % ", ".join(values), opacity=0.5)


def _place(state: Any, layer: Layer) -> None:
    """The middle of a layer in view, the section large enough to be seen whole, if that needs few voxels a pixel."""
    size, shape = layer.voxel_size_nm, layer.pyramid.finest.shape
    state.dimensions = neuroglancer.CoordinateSpace(names=["x", "y", "z"], scales=size[::-1], units="nm")
    state.position = [a + n / 2 for a, n in zip(layer.start[::-1], shape[::-1], strict=True)]
    longest = max(n * s for n, s in zip(shape, size, strict=True)) / min(size)
    scale = longest / _WINDOW
    state.cross_section_scale = scale if len(layer.pyramid.levels) > 1 else min(scale, _WIDEST)
    state.projection_scale = 2 * longest
    state.layout = "4panel"
    state.show_slices = True
