"""Small trainable parts: convolutions and the residual bottleneck that every cell is made of."""

from mrvae.layers.convolution import convolution, scale_weight
from mrvae.layers.memory import recomputed
from mrvae.layers.norm import unit_norm
from mrvae.layers.residual import Bottleneck

__all__ = ["Bottleneck", "convolution", "recomputed", "scale_weight", "unit_norm"]
