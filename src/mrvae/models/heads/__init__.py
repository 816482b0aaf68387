"""Heads: from the last state to the distribution of the image."""
