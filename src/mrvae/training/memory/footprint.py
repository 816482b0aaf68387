"""The FLOPs and the peak memory of a training step, predicted without computing it.

The step is made on meta tensors, with the model, the loss, the backward pass and the precision of
the run, and every storage is counted while it is alive. With N bytes of parameters, a run holds
throughout

    the weights, N,   their average, N,   the optimiser's two moments, 2N,

and, where several processes exchange gradients, the buckets of the exchange, N. Added to this, at
time t of the step, is A(t): the images and their noise, what autograd keeps for the backward pass,
the gradients computed so far, and what an operation reads and writes. The peak is

    throughout + max(max_t A(t), N + temporaries of the optimiser),

where ``accumulate`` parts follow one another, and the second starts with the gradients of the
first. With activation checkpointing, blocks are recomputed in the backward pass, here as in a run.

It counts the tensors of the eager model; a compiled one takes less. The workspace of a library
inside one operation, and the fragments of an allocator, are not counted; ``benchmarks/memory.py``
measures the difference.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import get_gradient_edge
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mrvae.meter import Meter
from mrvae.models import HVAE, Elbo
from mrvae.models.build import build
from mrvae.models.build.size import levels_of
from mrvae.recipes.optimizers import Adamax, Muon, Optimizer
from mrvae.recipes.schema import Model, Recipe
from mrvae.sizes import sides
from mrvae.training.loss import loss_of
from mrvae.training.optimizer import is_matrix


@dataclass(frozen=True)
class Footprint:
    """The FLOPs and the bytes of one step.

    Attributes:
        batch: images of the global batch.
        flops: of forward and backward pass, a multiply-add being 2, of all images of the batch.
        weights: bytes of parameters and buffers.
        gradients: bytes, with the buckets of several processes.
        averages: bytes of the averaged weights.
        moments: bytes of the optimiser's state.
        kept: bytes alive between the forward and the backward pass of one part of the batch.
        peak: the most bytes alive at any time, all of these included.
    """

    batch: int
    flops: int
    weights: int
    gradients: int
    averages: int
    moments: int
    kept: int
    peak: int


def footprint(recipe: Recipe, processes: int = 1) -> Footprint:
    """Return the cost of a step of a recipe for one of several processes; ``flops`` is of all.

    Raises:
        ValueError: if the recipe has no valid model, or the batch cannot be split evenly.

    Example:
        >>> import mrvae
        >>> from mrvae.recipes import override
        >>> small, large = (
        ...     footprint(override(mrvae.recipe("digits-vdvae"), [f"batch={b}", "compile=false"]))
        ...     for b in (64, 128)
        ... )
        >>> large.flops == 2 * small.flops, small.peak < large.peak < 2 * small.peak
        (True, True)
    """
    training = recipe.training
    images, rest = divmod(training.batch, processes * training.accumulate)
    if rest:
        raise ValueError(
            f"batch {training.batch} cannot be split evenly over {processes} processes times "
            f"{training.accumulate} parts"
        )
    with torch.device("meta"):
        # Whoever asks has let the model pass already, or wants to know what it would take.
        model = build(recipe, large=True)
    if training.activation_checkpointing:
        model.enable_activation_checkpointing()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pass_flops, kept, alive = _passes(model, recipe, images)
    parameters = _bytes(list(model.parameters()))
    learnt = _bytes([p for p in model.parameters() if p.requires_grad])
    weights, buckets = parameters + _bytes(list(model.buffers())), learnt * (processes > 1)
    moments = 2 * learnt - _spared(training.optimizer, model)
    throughout = weights + learnt + moments + buckets
    # Adamax makes one list of tensors beside the gradients, Muon at most the updates, matrices of
    # them and three products; the fused AdamW makes none.
    temporaries = {Adamax: 1, Muon: 5}.get(type(training.optimizer), 0)
    return Footprint(
        batch=training.batch,
        flops=pass_flops * training.accumulate * processes,
        weights=weights,
        gradients=learnt + buckets,
        averages=learnt,
        moments=moments,
        kept=kept,
        peak=throughout + max(alive, (1 + temporaries) * learnt),
    )


def _spared(optimizer: Optimizer, model: nn.Module) -> int:
    """Return the bytes of second moments that an optimiser does not keep."""
    if not isinstance(optimizer, Muon):
        return 0
    return _bytes([p for p in model.parameters() if p.requires_grad and is_matrix(p)])


def at_most(model: HVAE, recipe: Recipe, processes: int = 1) -> int:
    """Return a quick upper bound in bytes on the peak of a step.

    Let c_i and c_o be the input and output channels of a convolution, S the pixels of the finest
    level, D the values of an image and v the largest number of visits of a block. Then B images
    keep less than 4 B (S v Σ (c_i + c_o) + 256 D) bytes. It holds for every recipe of the package,
    and is two to ten times the peak.

    Example:
        >>> import mrvae
        >>> recipe = mrvae.recipe("digits-vdvae")
        >>> bound = at_most(mrvae.build(recipe), recipe)
        >>> footprint(recipe).peak < bound < 5 * footprint(recipe).peak
        True
    """
    training, frame = recipe.training, model.frame
    images = training.batch // (processes * training.accumulate) or 1
    pixels = math.prod(sides(frame.network_size)) // frame.space_to_depth**2
    channels = sum(
        module.weight.shape[0] + module.weight.shape[1]
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    )
    activations = images * (pixels * _visits(recipe) * channels + 256 * frame.dims)
    parameters = sum(p.numel() for p in (*model.parameters(), *model.buffers()))
    return 4 * (activations + 8 * parameters)


def _visits(recipe: Recipe) -> int:
    """Return the largest number of visits of a block or a cell."""
    match recipe.model:
        case Model() as model:
            levels = levels_of(model)
            return max(max(level.repeat, level.block_repeat) for level in levels)
        case _:
            return 1


def _passes(model: HVAE, recipe: Recipe, images: int) -> tuple[int, int, int]:
    """Return the FLOPs of one part, what it keeps, and the most bytes alive in one or two parts."""
    training, frame = recipe.training, model.frame
    shape = (images, *frame.shape)
    counts = []
    with ExitStack() as modes:
        meter = modes.enter_context(Meter())
        modes.enter_context(torch.device("meta"))
        modes.enter_context(
            torch.autocast("cpu", torch.bfloat16, enabled=training.precision == "bfloat16")
        )
        lowered = modes.enter_context(_Bfloat16())
        for _ in range(min(training.accumulate, 2)):
            x = torch.empty(shape, dtype=torch.uint8)
            noise = torch.empty(images, model.noise_size)
            term = torch.empty(images, dtype=torch.int64) if model.context.terms else None
            with lowered.keeping_copies():
                elbo = Elbo(*model(x, noise, term))
            loss = loss_of(elbo, model, training.kl, 0) / training.accumulate
            kept = meter.now
            _backward(loss)
            counts.append((meter.flops, kept))
    return *counts[0], meter.peak


def _backward(loss: Tensor) -> None:
    """Run the backward pass with the function mode active for the blocks that are recomputed.

    A call on a tensor suspends the mode until it returns; a call on the tensor's edge does not.
    """
    try:
        torch.autograd.backward(get_gradient_edge(loss), torch.ones_like(loss))
    except (AttributeError, TypeError):  # torch 2.6 takes no edges
        torch.autograd.backward(loss)


class _Bfloat16(TorchFunctionMode):
    """Does for meta tensors what autocast does for those of a device: layers compute in bfloat16.

    Autocast has no rules for meta tensors; the state of the CPU's decides whether it is on, so a
    layer that turns it off is respected. Two of its rules matter here. A layer with learnt weights
    computes in bfloat16; exact transforms, such as wavelets, have none. The bfloat16 copy of a
    weight is made once and kept until the end of the forward pass.
    """

    _LAYERS: tuple[Callable[..., Tensor], ...] = (functional.conv2d, functional.linear)

    def __init__(self) -> None:
        super().__init__()
        self._copies: dict[int, Tensor] | None = None

    @contextmanager
    def keeping_copies(self) -> Iterator[None]:
        """Keep the weights' copies during a forward pass; a recomputed block makes its own."""
        self._copies = {}
        yield
        self._copies = None

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        """Call a function, with its operands in bfloat16 if it is a layer."""
        named = dict(kwargs or {})
        on = torch.is_autocast_enabled("cpu")
        if on and func in self._LAYERS and args[1].requires_grad:
            args = tuple(map(self._lowered, args))
            named = {name: self._lowered(value) for name, value in named.items()}
        return func(*args, **named)

    def _lowered(self, value: object) -> object:
        """Return a float32 tensor in bfloat16, and anything else as it is."""
        if not isinstance(value, Tensor) or value.dtype != torch.float32:
            return value
        copies = self._copies
        if copies is None or not (value.is_leaf and value.requires_grad):
            return value.to(torch.bfloat16)
        if id(value) not in copies:
            copies[id(value)] = value.to(torch.bfloat16)
        return copies[id(value)]


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
