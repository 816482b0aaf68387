"""Signals: recordings and other series, as real values of shape (N, C, 1, T) with a sample rate.

wav, arrays, series     from a file to real values, header first
windows                 pieces of one length, and which of their samples are the signal's own
quantise                from real values to bins and back: linear, mu-law
loading                 a split of a folder, an array or a table
"""

from mrvae.data.signals.loading import Signals, load_signals
from mrvae.data.signals.quantise import LinearBins, MuLawBins
from mrvae.data.signals.windows import Padded, Sliding

__all__ = ["LinearBins", "MuLawBins", "Padded", "Signals", "Sliding", "load_signals"]
