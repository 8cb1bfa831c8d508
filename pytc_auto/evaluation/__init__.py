"""How well a segmentation agrees with truth. Scores come from one contingency table, run lengths from skeletons."""
