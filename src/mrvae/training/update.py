"""One update of the weights: gradients of the global batch, clip, skip or step, average."""

from __future__ import annotations

import math
from contextlib import nullcontext
from dataclasses import dataclass

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mrvae.data import Prefetch, Stream, normal, whole
from mrvae.models.elbo import Elbo
from mrvae.models.hvae import HVAE
from mrvae.recipes.schema import Training
from mrvae.training.ema import Ema
from mrvae.training.loss import loss_of
from mrvae.training.optimizer import make_optimizer, rate_factor, set_rate
from mrvae.training.skip import SkipMonitor


@dataclass(frozen=True)
class Report:
    """What one update saw: means over the global batch, in nats per image.

    ``latent_kl`` is the part of ``kl`` that is not a context's.
    """

    nats: float
    kl: float
    latent_kl: float
    norm: float
    rate: float
    skipped: bool


class Updater:
    """The state of training, and the one function that changes it.

    ``model`` is called through ``wrapped``, which may reduce gradients over processes; the global
    batch is cut evenly over processes and then over ``accumulate`` parts, and each image's noise
    depends on (seed, step, its index in the global batch) alone.
    """

    def __init__(
        self, model: HVAE, training: Training, stream: Stream, accelerator: Accelerator
    ) -> None:
        self.model = model
        self.training = training
        self.stream = stream
        self.accelerator = accelerator
        self.wrapped: nn.Module = accelerator.prepare_model(model)
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(training.optimizer, self.parameters)
        self.ema = Ema(self.parameters, training.ema)
        self.monitor = SkipMonitor(training.skip)
        self.updates = 0
        self.parts = _parts(training, accelerator)
        self._ahead = Prefetch(stream, self.parts)

    def update(self, step: int) -> Report:
        """Make the update of ``step``, counted from 0."""
        nats, kl, latent_kl = self._gradients(step)
        norm = nn.utils.clip_grad_norm_(self.parameters, self.training.clip, foreach=True)
        # One number decides, so that all processes decide alike.
        norm_value = float(norm) if math.isfinite(nats) else math.nan
        skipped = self.monitor.skips(norm_value)
        rate = self.training.optimizer.rate * rate_factor(self.training, step)
        if not skipped:
            set_rate(self.optimizer, rate)
            self.optimizer.step()
            self.ema.update(self.updates)
            self.updates += 1
        self.optimizer.zero_grad(set_to_none=True)
        return Report(nats, kl, latent_kl, norm_value, rate, skipped)

    def bound(self, x: Tensor, noise: Tensor, term: Tensor | None = None) -> Elbo:
        """Return the bound of x in the precision of the recipe, or its estimate from a term."""
        with self.autocast():
            return Elbo(*self.wrapped(x, noise, term))

    def measure(self, x: Tensor, noise: Tensor, term: Tensor | None = None) -> Elbo:
        """Return :meth:`bound` without the wrapper, which would wait for other processes."""
        with self.autocast():
            return Elbo(*self.model(x, noise, term))

    def autocast(self) -> torch.autocast:
        """Return the context in which convolutions run in bfloat16, if the recipe says so."""
        return torch.autocast(
            self.accelerator.device.type, dtype=torch.bfloat16, enabled=self.training.bf16
        )

    @property
    def buffers(self) -> dict[str, Tensor]:
        """What belongs to the model's weights and is not learnt, such as a context's S."""
        learnt = {name for name, _ in self.model.named_parameters()}
        return {n: value for n, value in self.model.state_dict().items() if n not in learnt}

    def inputs(self, step: int, part: range) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the images, the noise and the terms of a part of the global batch.

        A term is the one of a context's bound that stands for all of them; None if there is one.
        """
        device = self.accelerator.device
        x = self._ahead.batch(step, part).to(device, non_blocking=True)
        dtype = self.parameters[0].dtype
        noise = normal(self.stream.seed, step, part, self.model.noise_size, device, dtype)
        terms = self.model.context.terms
        drawn = whole(self.stream.seed, step, part, terms).to(device) if terms else None
        return x, noise, drawn

    def _gradients(self, step: int) -> tuple[float, float, float]:
        """Leave the gradients of the global batch in place; return mean −ELBO, KL, latents' KL."""
        above = len(self.model.context.shapes)
        total = torch.zeros(3, dtype=self.parameters[0].dtype, device=self.accelerator.device)
        for index, part in enumerate(self.parts):
            last = index == len(self.parts) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.wrapped):
                elbo = self.bound(*self.inputs(step, part))
                loss = loss_of(elbo, self.model, self.training.kl, step) / len(self.parts)
                self.accelerator.backward(loss)
            nats, kl = elbo.nats.detach(), elbo.kl.detach()
            total += torch.stack([nats.sum(), kl.sum(), kl[:, above:].sum()])
        total = self.accelerator.reduce(total, "sum") / self.training.batch
        mean_nats, mean_kl, latent_kl = total.tolist()
        return mean_nats, mean_kl, latent_kl


def _parts(training: Training, accelerator: Accelerator) -> list[range]:
    """Return the parts of the global batch that this process goes through, one after the other."""
    count = accelerator.num_processes * training.accumulate
    size, rest = divmod(training.batch, count)
    if rest:
        raise ValueError(
            f"batch {training.batch} cannot be split evenly over {accelerator.num_processes} "
            f"processes times {training.accumulate} parts; choose a multiple of {count}"
        )
    first = accelerator.process_index * training.accumulate
    return [range(k * size, (k + 1) * size) for k in range(first, first + training.accumulate)]
