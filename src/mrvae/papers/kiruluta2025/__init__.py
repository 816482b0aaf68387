"""Kiruluta (2025), *Wavelet-based VAEs for High-Resolution Image Generation*."""
