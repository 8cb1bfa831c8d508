"""Fingerprint and machine to plan: arithmetic only, the same bytes anywhere."""
