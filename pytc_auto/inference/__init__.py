"""Prediction of volumes of any size: one patch grid, blended, block by block, resumable."""
