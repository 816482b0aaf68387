"""Small trainable parts: convolutions, the bottleneck of every cell, the U-Net of a diffusion."""

from mrvae.layers.convolution import convolution, scale_weight
from mrvae.layers.memory import recomputed
from mrvae.layers.norm import unit_norm
from mrvae.layers.residual import Bottleneck
from mrvae.layers.unet import UNet

__all__ = ["Bottleneck", "UNet", "convolution", "recomputed", "scale_weight", "unit_norm"]
