"""What one training step costs, known before it is made: its operations, and its peak of memory.

The step is made on tensors without values, with the model, the loss, the backward pass and the
precision of the run, and every storage is watched while it is alive. Of N bytes of parameters, a
run in its middle holds throughout

    the weights, N,   their average, N,   the optimiser's two moments, 2N,

and, where several processes exchange gradients, the buckets in which these travel, N. To this come,
at the time t of the step, A(t): the images and their noise, what autograd keeps for the backward
pass, the gradients that are there already, and what an operation reads and writes. The peak is

    throughout + max(max_t A(t), N + what the optimiser takes for a moment),

where ``accumulate`` parts go one after the other, and the second begins with the gradients of the
first. With ``checkpoint`` blocks are computed again in the backward pass, here as there.

It is a count of tensors of the eager model; a compiled one takes less. What a library takes inside
of one operation, and what an allocator keeps in pieces too small to be used again, is not in it;
``benchmarks/memory.py`` measures the difference.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.graph import _engine_run_backward
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from mrvae.meter import Meter
from mrvae.models import HVAE, Elbo, parse_levels
from mrvae.models.build import build
from mrvae.recipes.schema import Adamax, Model, Recipe
from mrvae.training.loss import loss_of


@dataclass(frozen=True)
class Footprint:
    """The operations of one step, and the bytes that it takes.

    Attributes:
        batch: images of the global batch.
        flops: of forward and backward pass, a multiply-add being 2, of all images of the batch.
        weights: bytes of parameters and buffers.
        gradients: bytes, with the buckets of several processes.
        averages: bytes of the averaged weights.
        moments: bytes of the optimiser's state.
        kept: bytes alive between the forward and the backward pass of one part of the batch.
        peak: the most bytes alive at any time, all of the above counted.
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
    """Return what a step of a recipe costs one of several processes; ``flops`` is of all of them.

    Raises:
        ValueError: if the recipe's blocks make no model, or the processes cannot share its batch.

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
        model = build(recipe)
    if training.activation_checkpointing:
        model.enable_activation_checkpointing()
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    pass_flops, kept, alive = _passes(model, recipe, images)
    parameters = _bytes(list(model.parameters()))
    learnt = _bytes([p for p in model.parameters() if p.requires_grad])
    weights, buckets = parameters + _bytes(list(model.buffers())), learnt * (processes > 1)
    throughout = weights + 3 * learnt + buckets
    # Adamax makes one list of tensors beside the gradients; AdamW's one kernel makes none.
    moment = learnt * isinstance(training.optimizer, Adamax)
    return Footprint(
        batch=training.batch,
        flops=pass_flops * training.accumulate * processes,
        weights=weights,
        gradients=learnt + buckets,
        averages=learnt,
        moments=2 * learnt,
        kept=kept,
        peak=throughout + max(alive, learnt + moment),
    )


def at_most(model: HVAE, recipe: Recipe, processes: int = 1) -> int:
    """Return more bytes than a step takes at its peak, in no time, for who asks if it fits easily.

    Let c_i and c_o be the channels that a convolution reads and makes, S the side of the finest
    level, D the values of an image and v how often a block is visited at most. Then B images keep
    less than 4 B (S² v Σ (c_i + c_o) + 256 D) bytes. That holds for every recipe of the package,
    and is two to ten times too much.

    Example:
        >>> import mrvae
        >>> recipe = mrvae.recipe("digits-vdvae")
        >>> bound = at_most(mrvae.build(recipe), recipe)
        >>> footprint(recipe).peak < bound < 5 * footprint(recipe).peak
        True
    """
    training, frame = recipe.training, model.frame
    images = training.batch // (processes * training.accumulate) or 1
    side = frame.network_size
    channels = sum(
        module.weight.shape[0] + module.weight.shape[1]
        for module in model.modules()
        if isinstance(module, nn.Conv2d)
    )
    held = images * (side**2 * _visits(recipe) * channels + 256 * frame.dims)
    parameters = sum(p.numel() for p in (*model.parameters(), *model.buffers()))
    return 4 * (held + 8 * parameters)


def _visits(recipe: Recipe) -> int:
    """Return how often a block or a cell is visited at most."""
    match recipe.model:
        case Model() as model:
            levels = parse_levels(model.encoder, model.decoder, model.width, model.latent)
            return max(max(level.repeat, level.block_repeat) for level in levels)
        case _:
            return 1


def _passes(model: HVAE, recipe: Recipe, images: int) -> tuple[int, int, int]:
    """Return the FLOPs of one part, what it keeps, and the most bytes alive in one or two parts."""
    training, frame = recipe.training, model.frame
    shape = (images, frame.channels, frame.size, frame.size)
    counts = []
    with ExitStack() as modes:
        meter = modes.enter_context(Meter())
        modes.enter_context(torch.device("meta"))
        modes.enter_context(torch.autocast("cpu", torch.bfloat16, enabled=training.bf16))
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
    """Run the backward pass; the tensor's own method would take the mode off what is made again."""
    one = torch.ones_like(loss)
    _engine_run_backward((loss,), (one,), False, False, (), True, accumulate_grad=True)


class _Bfloat16(TorchFunctionMode):
    """Does to tensors without values what autocast does to those of a device: it lowers layers.

    Autocast knows devices only, and here it is the CPU's that says whether it is on: a layer that
    turns it off is left alone. Its rules that matter are two. A layer, whose weights are learnt,
    computes in bfloat16; what is exact, such as a wavelet transform, has no learnt weights. A
    weight's bfloat16 copy is made once and kept until the end of the forward pass.
    """

    _LAYERS: tuple[Callable[..., Tensor], ...] = (functional.conv2d, functional.linear)

    def __init__(self) -> None:
        super().__init__()
        self._copies: dict[int, Tensor] | None = None

    @contextmanager
    def keeping_copies(self) -> Iterator[None]:
        """Keep the weights' copies during a forward pass; what is made again makes its own."""
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
        """Call a function, its operands in bfloat16 if it is a layer's."""
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
