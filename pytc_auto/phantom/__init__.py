"""Synthetic EM: tissue that looks like neuropil, with its truth."""

from pytc_auto.phantom.volume import CLASS_NAMES, Phantom, make_phantom

__all__ = ["CLASS_NAMES", "Phantom", "make_phantom"]
