"""Losses, the LightningModule, and the loop around it."""
