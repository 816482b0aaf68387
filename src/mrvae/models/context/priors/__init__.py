"""Priors of a context: explicit ones, and a diffusion that bounds log p(c)."""
