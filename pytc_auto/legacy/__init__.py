"""PyTorch Connectomics v1: its configurations as plans, by its own rules. Nothing of v1 or YACS is needed."""
