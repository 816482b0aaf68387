"""Cells: one stochastic step of the walk, a file for each kind."""
