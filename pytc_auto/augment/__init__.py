"""How crops are varied, one effect a file; the random draw is apart from the effect."""
