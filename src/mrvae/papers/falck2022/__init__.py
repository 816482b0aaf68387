"""Falck et al. (2022), *A Multi-Resolution Framework for U-Nets*: its tables, figures and checks."""
