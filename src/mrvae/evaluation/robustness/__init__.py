"""Robustness: attacks on the latents, and the gradient ascent that they use."""
