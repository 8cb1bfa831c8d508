"""Segmentations in other formats than OME-Zarr: one module per format, all in memory that does not grow with the volume."""
