"""A small VDVAE with a shared cell, in float64, every weight away from its initial zeros."""

from __future__ import annotations

import torch

from mrvae.models import HVAE, ImageFrame, parse_levels
from mrvae.models.build import hierarchy
from mrvae.recipes.schema import CategoricalPixels

SHARED = 3


def tiny_vdvae(seed: int = 0) -> HVAE:
    """Build a hierarchy on 1, 4 and 8 pixels; the last cell is visited three times."""
    levels = parse_levels("8x1,8d2,4x1,4d4,1x1", f"1x1,4m1,4x1,8m4,8r{SHARED}", [8], [3])
    frame = ImageFrame(1, 8, 8, 8.0, 8.0, 17)
    model = hierarchy(levels, frame, CategoricalPixels(bins=17), bottleneck=0.5).double()
    stream = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            values = torch.randn(parameter.shape, generator=stream, dtype=torch.float64)
            fan = parameter[0].numel() if parameter.dim() == 4 and parameter.shape[0] > 1 else 9
            parameter.copy_(0.7 * values * fan**-0.5)
    return model
