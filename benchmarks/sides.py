"""The two sides of a comparison: published models, transcribed literally, and ours of their size.

    mnist       Child (2021) at the smallest size of Falck et al. (2022): 106,689 parameters
    cifar10     the same for CIFAR-10: 8,744,356 parameters
    imagenet32  the whole of Child's model for ImageNet at 32 × 32: 119,280,868
    dct-mnist   the hierarchy of Kuzina & Tomczak (2023): 656,617 parameters

The literal ones are those of ``tests/literal``, NCHW, float32 and eager. Of the 656,617 parameters
11,984 are built, counted and never used by the published program; ours has the same function here,
without them (``model.cell.shortcut=false``). The publication's context and its diffusion are on
neither side.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Protocol

import torch
from accelerate import Accelerator
from msgspec import structs
from torch import Tensor, nn
from torch.nn import functional

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests"))

from literal import kuzina2023, vdvae
from mrvae.data import Images, Stream
from mrvae.models import HVAE
from mrvae.models.build import build
from mrvae.recipes import Recipe, override, recipe
from mrvae.recipes.schema import SkipRule
from mrvae.training.compiling import try_compile
from mrvae.training.update import Updater

Shape = Literal["mnist", "cifar10", "imagenet32", "dct-mnist"]
Variant = Literal["float32", "float32-compiled", "bf16", "bf16-compiled"]

_IMAGES = 512


class LiteralModel(Protocol):
    """What is asked of a transcription."""

    def parameters(self) -> Iterator[nn.Parameter]:
        """Return the weights."""
        ...

    def zero_grad(self) -> None:
        """Forget the gradients."""
        ...

    def loss(self, x: Tensor, target: Tensor) -> Tensor:
        """Return what is minimised, the latents inferred from x and drawn inside."""
        ...

    def noise(self, batch: int) -> list[Tensor]:
        """Return standard normal draws of every latent."""
        ...

    def sample(self, noise: Sequence[Tensor]) -> Tensor:
        """Return images."""
        ...


@dataclass(frozen=True)
class Case:
    """The same model and batch in our terms and in the published ones.

    Attributes:
        recipe: ours, with the published clip and average of the weights.
        published: makes the literal model.
        unused: parameters that the literal model has, and does not use.
        averaged: whether the published program keeps an average of the weights.
        padded: pixels a side as the literal network sees them.
        sees_grey: whether the literal encoder sees grey images where the binary ones are scored.
    """

    recipe: Recipe
    published: Callable[[], LiteralModel]
    unused: int = 0
    averaged: bool = True
    padded: int = 32
    sees_grey: bool = False


def case(shape: Shape, batch: int | None = None) -> Case:
    """Return the two sides of a shape, at the published batch if none is given."""
    match shape:
        case "mnist":
            child = Case(recipe("falck2022-mnist-x1"), lambda: vdvae.VAE(vdvae.mnist()))
            found = _as_child(child)
        case "cifar10":
            full, (encoder, decoder) = recipe("vdvae-cifar10"), vdvae.small_ladder(1)
            model = structs.replace(full.hierarchy, encoder=encoder, decoder=decoder)
            training = structs.replace(full.training, batch=16)
            ours = structs.replace(full, model=model, training=training)
            found = _as_child(Case(ours, lambda: vdvae.VAE(vdvae.cifar10())))
        case "imagenet32":
            full = recipe("vdvae-imagenet32")
            # Of the published 256 images each of 32 GPUs had 8.
            ours = structs.replace(full, training=structs.replace(full.training, batch=8))
            found = _as_child(Case(ours, lambda: vdvae.VAE(vdvae.imagenet32())))
        case "dct-mnist":
            found = Case(
                override(recipe("kuzina2023-mnist-vdvae"), ["model.cell.shortcut=false"]),
                lambda: kuzina2023.LadderVAE(kuzina2023.mnist()),
                unused=11_984,
                averaged=False,
                padded=28,
                sees_grey=True,
            )
    training = found.recipe.training
    training = structs.replace(training, skip=SkipRule(factor=1e30), batch=batch or training.batch)
    return replace(found, recipe=structs.replace(found.recipe, training=training))


def _as_child(found: Case) -> Case:
    """Return a case with the clip and the average of the published VDVAE."""
    training = structs.replace(found.recipe.training, clip=200.0, ema=0.9999)
    return replace(found, recipe=structs.replace(found.recipe, training=training))


def synthetic(recipe_: Recipe) -> Images:
    """Return random images; how long anything takes does not depend on their values."""
    model, generator = recipe_.model, torch.Generator().manual_seed(0)
    shape = (_IMAGES, *model.image)
    pixels = torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)
    return Images(pixels, "synthetic", "train")


class LiteralStep:
    """The published training step, always updating."""

    def __init__(self, case_: Case, images: Images, device: torch.device) -> None:
        self.case, self.images, self.device = case_, images, device
        self.model = published(case_, device)
        self.weights = [p for p in self.model.parameters() if p.requires_grad]
        self.averages = deepcopy(self.weights) if case_.averaged else []
        spec = case_.recipe.training.optimizer
        # On CUDA the published code has a fused AdamW, from apex.
        self.optimizer = torch.optim.AdamW(
            self.weights,
            lr=spec.rate,
            betas=(spec.beta1, spec.beta2),
            weight_decay=spec.weight_decay,
            fused=device.type == "cuda",
        )

    def __call__(self, step: int) -> None:
        """Make one update."""
        training = self.case.recipe.training
        self.model.zero_grad()
        torch.autograd.backward(self.model.loss(*self.inputs(step)))
        nn.utils.clip_grad_norm_(self.weights, training.clip).item()
        self.optimizer.step()
        if self.averages:
            for weight, average in zip(self.weights, self.averages, strict=True):
                average.data.mul_(training.ema)
                average.data.add_(weight.data * (1 - training.ema))

    def inputs(self, step: int) -> tuple[Tensor, Tensor]:
        """Return the normalised images and the targets of a batch."""
        batch = self.case.recipe.training.batch
        first = step * batch % (_IMAGES - batch + 1)
        x = self.images.take(torch.arange(first, first + batch))
        return literal_inputs(self.case, x.to(self.device))


def literal_inputs(case_: Case, x: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the literal encoder sees of uint8 images, and what is scored."""
    model, grey = case_.recipe.hierarchy, x.float()
    if not case_.recipe.data.binary:
        return (grey - model.input.mean) / model.input.std, (grey - 127.5) / 127.5
    target = torch.bernoulli(grey / 255)
    if case_.sees_grey:
        return grey / 127.5 - 1, target
    edge = (case_.padded - model.image[1]) // 2
    target = functional.pad(target, (edge, edge, edge, edge))
    return (target - model.input.mean) / model.input.std, target


def published(case_: Case, device: torch.device) -> LiteralModel:
    """Return the literal model on a device."""
    with device:
        return case_.published()


def our_model(recipe_: Recipe, device: torch.device) -> HVAE:
    """Return our model as it stands in training: channels last."""
    model = build(recipe_)
    model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return model


def our_step(
    recipe_: Recipe, variant: Variant, images: Images, device: torch.device
) -> tuple[Updater, float | None]:
    """Return the state of our training, compiled if the variant says so, and the seconds."""
    training = structs.replace(
        recipe_.training, precision="bfloat16" if variant.startswith("bf16") else "float32"
    )
    stream = Stream(images, training.batch, seed=0, binary=recipe_.data.binary)
    accelerator = Accelerator(mixed_precision="no", cpu=device.type == "cpu")
    updater = Updater(our_model(recipe_, device), training, stream, accelerator)
    return updater, try_compile(updater) if variant.endswith("compiled") else None


def check_sizes(case_: Case, theirs: LiteralModel, ours: HVAE) -> int:
    """Return the published number of parameters.

    Raises:
        ValueError: if ours has not as many that are used.
    """
    counted = sum(p.numel() for p in theirs.parameters() if p.requires_grad)
    found = sum(p.numel() for p in ours.parameters())
    if counted != found + case_.unused:
        raise ValueError(
            f"the literal model has {counted} parameters, {case_.unused} of them unused; "
            f"ours has {found}"
        )
    return counted
