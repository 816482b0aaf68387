"""Neural-network layers: convolutions, residual blocks of the cells, the U-Net of a diffusion."""

from mrvae.layers.activation import gelu
from mrvae.layers.activation_checkpointing import checkpointed
from mrvae.layers.convolution import (
    Depthwise,
    convolution,
    drawn_convolution,
    pointwise,
    scale_weight,
)
from mrvae.layers.memory_format import preserve_memory_format
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
    "checkpointed",
    "convolution",
    "drawn_convolution",
    "gelu",
    "pointwise",
    "preserve_memory_format",
    "scale_weight",
    "unit_norm",
]
