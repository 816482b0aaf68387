"""The seconds of a training step of a recipe on this machine, without its data.

A small model makes passes over random images (:mod:`mrvae.training.machine.speed`). Of a larger
one, which would take too long, only 3×3 convolutions of its levels' widths and sizes are timed, on
one image each and weighted by where its FLOPs are; a step takes at least that long.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from mrvae.models.build import build
from mrvae.models.elbo import Elbo
from mrvae.models.hierarchy.level import Level
from mrvae.models.hvae import HVAE
from mrvae.recipes.schema import Recipe
from mrvae.sizes import sides
from mrvae.training.loss import loss_of
from mrvae.training.machine.speed import Pass, PassTime, Stopwatch
from mrvae.training.machine.threads import given_threads, using_threads

_SMALL = 1 << 31
"""Parameters times pixels of a model that makes passes."""

_BUDGET = 0.7
_FITTED = 64
_WIDEST = 512


@dataclass(frozen=True)
class StepTime:
    """The seconds of a step.

    Attributes:
        seconds: on a machine with nothing else to do.
        busy: by what they are multiplied while it is as busy as now.
        threads: on the CPU.
        bound: whether only convolutions were timed, so that a step takes longer.
    """

    seconds: float
    busy: float
    threads: int | None
    bound: bool


def step_time(recipe: Recipe, device: torch.device, parameters: int, flops: int) -> StepTime:
    """Return the time of a step of a recipe whose precision is settled.

    Args:
        recipe: of the step.
        device: that computes it.
        parameters: of its model.
        flops: of one image's bound.
    """
    small = parameters * math.prod(recipe.model.image[1:]) <= _SMALL
    known = given_threads(None, None)
    count = None if device.type != "cpu" else known or (1 if small else torch.get_num_threads())
    images = recipe.training.batch
    with using_threads(count), torch.random.fork_rng(devices=[]):
        if small:
            each = images // recipe.training.accumulate
            part = Stopwatch(_pass(recipe, device, each), device).batch(each, _BUDGET)
            found = PassTime(part.seconds * recipe.training.accumulate, part.busy)
        else:
            one = _seconds_per_flop(recipe, device)
            found = PassTime(one.seconds * 3 * flops * images, one.busy)
    return StepTime(found.seconds, found.busy, count, not small)


def _pass(recipe: Recipe, device: torch.device, images: int) -> Pass:
    """Return the forward and backward pass over random images."""
    model = build(recipe)
    shape = max(images, _FITTED), *model.frame.shape
    pixels = torch.randint(model.frame.bins, shape, dtype=torch.uint8)
    if model.context.shapes:
        model.context.fit(pixels)
    if recipe.training.activation_checkpointing:
        model.enable_activation_checkpointing()
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    noise = torch.randn(images, model.noise_size, device=device)
    terms = torch.ones(images, dtype=torch.int64, device=device) if model.context.terms else None
    return _run(recipe, model, pixels.to(device), noise, terms)


def _run(recipe: Recipe, model: HVAE, x: Tensor, noise: Tensor, terms: Tensor | None) -> Pass:
    bfloat16 = recipe.training.precision == "bfloat16"

    def run(images: int) -> None:
        some = None if terms is None else terms[:images]
        with torch.autocast(x.device.type, torch.bfloat16, enabled=bfloat16):
            elbo = Elbo(*model(x[:images], noise[:images], some))
        loss_of(elbo, model, recipe.training.kl, 0).backward()  # type: ignore[no-untyped-call]
        model.zero_grad(set_to_none=True)

    return run


def _seconds_per_flop(recipe: Recipe, device: torch.device) -> PassTime:
    """Return the seconds of one FLOP of convolutions, forward and backward, and how busy it is."""
    dtype = torch.bfloat16 if recipe.training.precision == "bfloat16" else torch.float32
    total, weights, busy = 0.0, 0.0, 1.0
    for level, layers in _levels(recipe):
        channels = min(level.width, _WIDEST)
        down, across = sides(level.full_kernel)
        flops = 3 * 2 * down * across * channels**2 * level.pixels
        weight = layers * level.width**2 * level.pixels
        time = Stopwatch(_convolution(channels, level, dtype, device), device).warm(1)
        total, weights = total + weight * time.seconds / flops, weights + weight
        busy = max(busy, time.busy)
    return PassTime(total / weights, busy)


def _levels(recipe: Recipe) -> Iterable[tuple[Level, int]]:
    """Yield each level, and the number of its layers."""
    with torch.device("meta"):
        model = build(recipe, large=True)
    for stage in model.stages:
        yield stage.level, len(stage.shapes)


def _convolution(channels: int, level: Level, dtype: torch.dtype, device: torch.device) -> Pass:
    """Return the forward and backward pass of a level's spatial convolution of one image."""
    kernel = sides(level.full_kernel)
    x, weight = (
        torch.ones(shape, dtype=dtype, device=device)
        .to(memory_format=torch.channels_last)
        .requires_grad_()
        for shape in ((1, channels, *level.sides), (channels, channels, *kernel))
    )
    padding = kernel[0] // 2, kernel[1] // 2
    return lambda _: torch.autograd.backward(functional.conv2d(x, weight, padding=padding).sum())
