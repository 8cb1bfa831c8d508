"""nnU-Net for electron-microscopy connectomics."""
