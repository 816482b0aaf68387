"""−ELBO of the validation images, the same draws every time.

Every image is scored once, with noise that depends on its index alone, so that two validations
differ by the weights only. The last batch is filled up by images that are not counted, so that a
compiled model sees one shape.
"""

from __future__ import annotations

import torch

from mrvae.data import Images, all_batches, normal
from mrvae.processes import all_reduce_sum, share
from mrvae.training.update import Updater

_SEED = 0


@torch.no_grad()
def validate(updater: Updater, images: Images) -> float:
    """Return the mean one-sample −ELBO of the averaged weights, in nats per image.

    Every process scores its share, in batches as large as the parts that it trains on.
    """
    accelerator, device = updater.accelerator, updater.accelerator.device
    batch = min(len(updater.parts[0]), len(images))
    part = share(len(images), accelerator.process_index, accelerator.num_processes)
    dtype, count = updater.parameters[0].dtype, updater.model.noise_size
    total = 0.0
    with updater.ema.applied():
        for indices, x in all_batches(images, batch, part):
            filled = torch.arange(batch) % len(x)
            noise = normal(_SEED, 0, indices, count, device, dtype)
            # Shares differ in size, so that no process may wait for the others here.
            elbo = updater.measure(x[filled].to(device), noise[filled.to(device)])
            total += float(elbo.nats[: len(x)].sum())
    return all_reduce_sum(total) / len(images)
