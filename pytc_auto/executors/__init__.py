"""Ways to run the work on a volume's blocks, and what is known on disk of the blocks that are finished, going on, or failed."""
