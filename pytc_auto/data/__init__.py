"""Where to sample, the crops, and the data module."""
