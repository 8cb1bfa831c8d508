"""How well a segmentation agrees with truth. Everything is computed from one contingency table."""
