"""Measure a data set. Reads volumes, decides nothing."""
