"""The networks of PyTorch Connectomics v1, key for key. Only the table of kinds builds them."""
