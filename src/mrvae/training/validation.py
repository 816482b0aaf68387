"""−ELBO of the validation images, with the same noise every time.

Every image is scored once, with noise that depends only on its index, so that two validations
differ only by the weights. The last batch is padded with images that are not counted, so that a
compiled model gets one shape.
"""

from __future__ import annotations

import torch

from mrvae.data import Images, all_batches, normal
from mrvae.processes import all_reduce_sum, shard
from mrvae.training.update import Updater

_SEED = 0


@torch.no_grad()
def validate(updater: Updater, images: Images) -> float:
    """Return the mean one-sample −ELBO of the averaged weights, in nats per image.

    Every process scores its shard, in batches as large as the parts that it trains on.
    """
    accelerator, device = updater.accelerator, updater.accelerator.device
    batch = min(len(updater.parts[0]), len(images))
    part = shard(len(images), accelerator.process_index, accelerator.num_processes)
    dtype, count = updater.parameters[0].dtype, updater.model.noise_size
    total = 0.0
    with updater.ema.applied():
        for indices, x in all_batches(images, batch, part):
            padded = torch.arange(batch) % len(x)
            noise = normal(_SEED, 0, indices, count, device, dtype)
            # Shards differ in size, so no process may wait for the others here.
            elbo = updater.measure(x[padded].to(device), noise[padded.to(device)])
            total += float(elbo.nats[: len(x)].sum())
    return all_reduce_sum(total) / len(images)
