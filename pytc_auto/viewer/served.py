"""A pyramid as neuroglancer's server gives it to the page: each box is read when it is looked at."""

from __future__ import annotations

import io
import zlib
from typing import Any

import neuroglancer
import numpy as np
from neuroglancer.local_volume import InvalidObjectIdForMesh

from pytc_auto.errors import PytcError
from pytc_auto.geometry import Box, zyx
from pytc_auto.viewer.layer import Layer
from pytc_auto.viewer.pyramid import shown_dtype

_FASTEST = 1
_PER_BOX = 64
"""A box may be made from so many times its voxels of a stored level."""


class Served(neuroglancer.LocalVolume):
    """A layer's voxels: (Z, Y, X), or (C, Z, Y, X) for predictions."""

    def __init__(self, layer: Layer) -> None:
        """Describe the voxels; none are read."""
        pyramid, channels = layer.pyramid, layer.look == "prediction"
        super().__init__(
            _Described(layer),
            dimensions=neuroglancer.CoordinateSpace(
                names=[*["c^"] * channels, "z", "y", "x"],
                scales=[*[1] * channels, *layer.voxel_size_nm],
                units=[*[""] * channels, "nm", "nm", "nm"],
            ),
            volume_type="segmentation" if layer.look == "labels" else "image",
            voxel_offset=[*[0] * channels, *layer.start],
            max_downsampling=_PER_BOX * max(int(np.prod(factor)) for factor in pyramid.factors),
        )
        self._layer = layer

    def get_encoded_subvolume(self, data_format: str, start: Any, end: Any, scale_key: str) -> tuple[bytes, str]:
        """A box of a scale, as a compressed .npy file.

        Raises:
            ValueError: It lies outside, or cannot be read.
        """
        if data_format != "npz":
            raise ValueError(f"no such format: {data_format}")
        box, factor = Box(zyx(start[-3:]), zyx(end[-3:])), zyx([int(f) for f in scale_key.split(",")][-3:])
        try:
            voxels = self._layer.pyramid.read(box, factor)
        except PytcError as error:
            raise ValueError(str(error)) from error
        voxels = voxels.astype(self.data.dtype, copy=False)
        file = io.BytesIO()
        np.save(file, np.asfortranarray(voxels if self.rank == 4 else voxels[0]))
        return zlib.compress(file.getvalue(), _FASTEST), "application/octet-stream"

    def get_object_mesh(self, object_id: int) -> bytes:
        """No meshes: they would be made from the whole volume.

        Raises:
            InvalidObjectIdForMesh: Always; the page goes on without.
        """
        raise InvalidObjectIdForMesh(object_id)


class _Described:
    """Shape and dtype of a layer, as ``LocalVolume`` asks for them."""

    def __init__(self, layer: Layer) -> None:
        pyramid = layer.pyramid
        self.dtype = shown_dtype(pyramid.finest.dtype, pyramid.kind)
        self.shape: tuple[int, ...] = pyramid.finest.shape
        if layer.look == "prediction":
            self.shape = (len(pyramid.levels[0]), *self.shape)
