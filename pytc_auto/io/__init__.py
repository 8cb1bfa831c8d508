"""Volumes on disk: find, open, read by box, write."""
