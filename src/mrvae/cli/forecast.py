"""The time of a measurement, from the time of one forward pass."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from mrvae.forecast import announce

if TYPE_CHECKING:
    from mrvae.data import Images
    from mrvae.models import HVAE

_ROWS = 16
# Fewer forward passes take no time worth a forecast, or a bar shows it.
_FEW = 200


def forecast(model: HVAE, images: Images, passes: float) -> None:
    """Announce the time of ``passes`` forward passes of each image, if it is over a minute.

    A batch goes through the model twice, and the second time counts. The global random stream is
    left as it was.
    """
    import torch

    total = passes * len(images)
    if total < _FEW:
        return
    device = next(model.parameters()).device
    x = images.first(min(_ROWS, max(1, int(total / _FEW)))).tensor().to(device)
    with torch.random.fork_rng(), torch.inference_mode():
        for _ in range(2):
            began = time.perf_counter()
            float(model.elbo(x).nats.sum())
    announce((time.perf_counter() - began) / len(x) * total)
