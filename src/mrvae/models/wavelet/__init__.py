"""Wavelet coefficients as the latents of a hierarchy (Kiruluta 2025)."""
