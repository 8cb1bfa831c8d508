"""Labels to what the network learns, one target a file."""
