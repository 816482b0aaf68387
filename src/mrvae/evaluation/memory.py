"""How many images, or samples of one image, go through a hierarchy at a time.

A *row* is one latent sample of one image. Without gradients a forward pass of it keeps, until its
end,

    the encoder's features,
    at every cell the state, the output of the prior's network (as wide as the state) and a
    latent's noise, value, and two Gaussians,

and besides, for a moment, the intermediates of the widest cell and of the pixels' distribution.
The numbers of copies below were counted on the models of this package, and a test compares
the estimate with the tensors that are alive.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from mrvae.data import Images, all_batches
from mrvae.models import HVAE

Progress = Callable[[int], None]
"""What is called with the number of images, or of other units, that were just done."""

_LATENT_COPIES = 10
_STATE_COPIES = 8
_PIXEL_COPIES = 200
_LEAST_ROWS, _MOST_ROWS = 8, 128
# On a CPU the widest states of all rows together are to stay in the cache, or a row takes longer.
_CACHE = 4 << 20


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
    features = _features(model)
    return max(min(memory // _bytes(model, features), _useful_rows(model, features)), 1)


def batches_within(
    memory: int, model: HVAE, images: Images, progress: Progress | None = None, share: int = 1
) -> Iterator[tuple[range, Tensor]]:
    """Visit all images in batches of a part 1 / ``share`` of the rows that fit into memory.

    ``progress`` is called with the length of each batch, once its use has ended.
    """
    for indices, x in all_batches(images, max(rows_within(memory, model) // share, 1)):
        yield indices, x
        if progress is not None:
            progress(len(indices))


def row_bytes(model: HVAE) -> int:
    """Return the bytes that one row takes at its peak, weights not counted; an upper estimate."""
    return _bytes(model, _features(model))


def _bytes(model: HVAE, features: Sequence[Tensor]) -> int:
    distinct = {id(feature): 2 * feature.numel() for feature in features}
    states = [feature.numel() for feature in features]
    kept = sum(distinct.values()) + 2 * sum(states) + _LATENT_COPIES * model.latent_noise_size
    values = kept + _STATE_COPIES * max(states, default=0) + _PIXEL_COPIES * model.frame.dims
    return values * next(model.parameters()).element_size()


def _useful_rows(model: HVAE, features: Sequence[Tensor]) -> int:
    """Return the number of rows beyond which a pass gets no faster per row."""
    weight = next(model.parameters())
    if weight.device.type != "cpu":
        return _MOST_ROWS
    state = max((feature.numel() for feature in features), default=1)
    return min(max(_CACHE // (state * weight.element_size()), _LEAST_ROWS), _MOST_ROWS)


@torch.no_grad()
def _features(model: HVAE) -> Sequence[Tensor]:
    """Return the encoder's feature of one image for each cell, as wide as its state."""
    frame, device = model.frame, next(model.parameters()).device
    return model.features(torch.zeros((1, *frame.shape), dtype=torch.uint8, device=device))
