"""How many images, or samples of one image, go through a hierarchy at a time.

A *row* is one latent sample of one image. Without gradients a walk over it holds, until its end,

    the encoder's features,
    at every visit the state, the output of the prior's network (as wide as the state) and a
    latent's noise, value, and two Gaussians,

and besides, for a moment, the intermediates of the widest cell and of the pixels' distribution.
The numbers of copies below were counted on the models of this package, and a test holds the
estimate against the tensors that are really alive.
"""

from __future__ import annotations

import torch

from mrvae.models import HVAE

_LATENT_COPIES = 10
_STATE_COPIES = 8
_PIXEL_COPIES = 200
# Beyond this, more rows make nothing faster; on a CPU they leave the cache.
_MOST_ROWS = 128


def rows_within(memory: int, model: HVAE) -> int:
    """Return how many rows fit into ``memory`` bytes: at least one, and no more than are useful.

    Raises:
        ValueError: if memory is not positive.

    Example:
        >>> import mrvae
        >>> rows_within(1, mrvae.build(mrvae.recipe("digits-vdvae")))
        1
    """
    if memory < 1:
        raise ValueError(f"memory is {memory} bytes; give a positive bound, such as 2**30")
    return min(max(memory // row_bytes(model), 1), _MOST_ROWS)


@torch.no_grad()
def row_bytes(model: HVAE) -> int:
    """Return the bytes that one row takes at its peak, weights not counted; an upper estimate."""
    weight = next(model.parameters())
    frame = model.frame
    shape = (1, frame.channels, frame.size, frame.size)
    features = model.features(torch.zeros(shape, dtype=torch.uint8, device=weight.device))
    distinct = {id(feature): 2 * feature.numel() for feature in features}
    states = [feature.numel() for feature in features]
    held = sum(distinct.values()) + 2 * sum(states) + _LATENT_COPIES * model.decoder.noise_size
    values = held + _STATE_COPIES * max(states, default=0) + _PIXEL_COPIES * frame.dims
    return values * weight.element_size()
