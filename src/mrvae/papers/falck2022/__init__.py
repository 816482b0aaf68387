"""Falck et al. (2022), *A Multi-Resolution Framework for U-Nets with Applications to HVAEs*."""
