"""Small trainable parts: convolutions and the residual bottleneck that every cell is made of."""

from mrvae.layers.convolution import convolution, scale_weight
from mrvae.layers.residual import Bottleneck

__all__ = ["Bottleneck", "convolution", "scale_weight"]
