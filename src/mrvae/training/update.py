"""One update of the weights: gradients of the global batch, clip, skip or step, average."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
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
class UpdateReport:
    """The measurements of one update: means over the global batch, in nats per image.

    Attributes:
        nats: -ELBO.
        kl: KL(q‖p) of all latents.
        latent_kl: the same without the context.
        norm: of the gradient of the loss, before the clip; NaN if -ELBO is not finite.
        rate: the learning rate of the step.
        skipped: whether the weights were left unchanged.
    """

    nats: float
    kl: float
    latent_kl: float
    norm: float
    rate: float
    skipped: bool


class Updater:
    """The state of training, and the one function that changes it.

    ``model`` is called through ``wrapped``, which may reduce gradients over processes. The global
    batch is split evenly over processes and then over ``accumulate`` parts. The noise of an image
    depends only on (seed, step, its index in the global batch).
    """

    def __init__(
        self, model: HVAE, training: Training, stream: Stream, accelerator: Accelerator
    ) -> None:
        self.model = model
        self.training = training
        self.stream = stream
        self.accelerator = accelerator
        # For a single process accelerate would only import what it asks for, for a second.
        several = accelerator.num_processes > 1
        self.wrapped: nn.Module = accelerator.prepare_model(model) if several else model
        self.parameters = [p for p in model.parameters() if p.requires_grad]
        self.optimizer = make_optimizer(training.optimizer, self.parameters)
        self.ema = Ema(self.parameters, training.ema)
        self.monitor = SkipMonitor(training.skip)
        self.updates = 0
        self.parts = _parts(training, accelerator)
        self._ahead = Prefetch(stream, self.parts)

    def update(self, step: int) -> UpdateReport:
        """Make the update of ``step``, counted from 0: gradients, clip, step or skip, average."""
        total = torch.zeros(3, dtype=self.parameters[0].dtype, device=self.accelerator.device)
        for part in self.parts:
            x, noise, term = self.inputs(step, part)
            with self._all_reduce_after(part):
                with self.autocast():
                    elbo = Elbo(*self.wrapped(x, noise, term))
                loss = loss_of(elbo, self.model, self.training.kl, step) / len(self.parts)
                self.accelerator.backward(loss)
            total += self._sums(elbo)
        total = self.accelerator.reduce(total, "sum") / self.training.batch
        return self._apply(step, *total.tolist())

    def measure(self, x: Tensor, noise: Tensor, term: Tensor | None = None) -> Elbo:
        """Return the bound of x in the recipe's precision, without waiting for other processes.

        With ``term``, the context's bound is estimated by that one of its terms.
        """
        with self.autocast():
            return Elbo(*self.model(x, noise, term))

    def autocast(self) -> torch.autocast:
        """Return the context in which convolutions run in bfloat16, if the recipe does."""
        return torch.autocast(
            self.accelerator.device.type,
            dtype=torch.bfloat16,
            enabled=self.training.precision == "bfloat16",
        )

    @property
    def buffers(self) -> dict[str, Tensor]:
        """The model's tensors that are not learnt, such as the magnitude S of a context."""
        learnt = {name for name, _ in self.model.named_parameters()}
        return {n: value for n, value in self.model.state_dict().items() if n not in learnt}

    def inputs(self, step: int, part: range) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return the images, the noise and the terms of a part of the global batch.

        A term, from 1, is the index of the one term of a context's bound that is evaluated; None if
        the bound has a single term.
        """
        device = self.accelerator.device
        x = self._ahead.batch(step, part).to(device, non_blocking=True)
        dtype = self.parameters[0].dtype
        noise = normal(self.stream.seed, step, part, self.model.noise_size, device, dtype)
        terms = self.model.context.terms
        drawn = whole(self.stream.seed, step, part, terms).to(device) if terms else None
        return x, noise, drawn

    def _all_reduce_after(self, part: range) -> AbstractContextManager[object]:
        """Sum gradients over the processes in the backward pass of the last part only."""
        last = part == self.parts[-1]
        return nullcontext() if last else self.accelerator.no_sync(self.wrapped)

    def _sums(self, elbo: Elbo) -> Tensor:
        """Return the sums over images of -ELBO, of the KL, and of the latents' part of the KL."""
        nats, kl = elbo.nats.detach(), elbo.kl.detach()
        context = len(self.model.context.shapes)
        return torch.stack([nats.sum(), kl.sum(), kl[:, context:].sum()])

    def _apply(self, step: int, nats: float, kl: float, latent_kl: float) -> UpdateReport:
        """Clip the gradients, then step and average, or skip the update."""
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
        return UpdateReport(nats, kl, latent_kl, norm_value, rate, skipped)


def _parts(training: Training, accelerator: Accelerator) -> list[range]:
    """Return the parts of the global batch that this process computes, in order."""
    count = accelerator.num_processes * training.accumulate
    size, rest = divmod(training.batch, count)
    if rest:
        raise ValueError(
            f"batch {training.batch} cannot be split evenly over {accelerator.num_processes} "
            f"processes times {training.accumulate} parts; choose a multiple of {count}"
        )
    first = accelerator.process_index * training.accumulate
    return [range(k * size, (k + 1) * size) for k in range(first, first + training.accumulate)]
