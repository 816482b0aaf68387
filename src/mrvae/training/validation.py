"""−ELBO of the validation images, the same draws every time.

Every image is scored once, with noise that depends on its index alone, so that two validations
differ by the weights only. The last batch is filled up by images that are not counted, so that a
compiled model sees one shape.
"""

from __future__ import annotations

import torch

from mrvae.data import Images, all_batches, normal
from mrvae.training.update import Updater

_SEED = 0


@torch.no_grad()
def validate(updater: Updater, images: Images, batch: int) -> float:
    """Return the mean one-sample −ELBO of the averaged weights, in nats per image."""
    device = updater.accelerator.device
    dtype, count = updater.parameters[0].dtype, updater.model.noise_size
    total = 0.0
    with updater.ema.applied():
        for indices, x in all_batches(images, batch):
            filled = torch.arange(batch) % len(x)
            noise = normal(_SEED, 0, indices, count, device, dtype)
            elbo = updater.bound(x[filled].to(device), noise[filled.to(device)])
            total += float(elbo.nats[: len(x)].sum())
    return total / len(images)
