"""Kuzina & Tomczak (2023), *Discouraging Posterior Collapse in HVAEs Using Context*."""
