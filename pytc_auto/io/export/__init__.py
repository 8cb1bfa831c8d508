"""Segmentations written in other formats than OME-Zarr: one module per format, in memory that does not grow with the volume."""
