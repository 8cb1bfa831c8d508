"""Prediction to segmentation: one method a file, one table of kinds."""
