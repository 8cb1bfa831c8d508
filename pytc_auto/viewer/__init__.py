"""Volumes shown in neuroglancer, served from this machine."""
