"""Small trainable parts: convolutions, the blocks of the cells, the U-Net of a diffusion."""

from mrvae.layers.convolution import Depthwise, convolution, drawn_convolution, scale_weight
from mrvae.layers.layout import as_it_lies
from mrvae.layers.memory import recomputed
from mrvae.layers.norm import unit_norm
from mrvae.layers.residual import Bottleneck
from mrvae.layers.rezero import ReZero, Shortcut, activated_after, activated_before
from mrvae.layers.unet import UNet

__all__ = [
    "Bottleneck",
    "Depthwise",
    "ReZero",
    "Shortcut",
    "UNet",
    "activated_after",
    "activated_before",
    "as_it_lies",
    "convolution",
    "drawn_convolution",
    "recomputed",
    "scale_weight",
    "unit_norm",
]
