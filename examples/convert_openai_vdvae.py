"""Turn a checkpoint published for VDVAE (Child 2021) into a run that mrvae can load.

    python examples/convert_openai_vdvae.py cifar10-seed0-iter-900000-model-ema.th \
        vdvae-cifar10 --out runs/vdvae-cifar10

The published state dict numbers all blocks of a path in the order of their visits: the encoder's
``enc_blocks`` from fine to coarse, the decoder's ``dec_blocks`` from coarse to fine. Ours keeps
them by resolution, so the n-th published block is found by counting. Every tensor goes over as
it is, with one exception. Of K components of a mixture over red, green and blue, the published
last convolution yields K logits, and then for each colour K means, K log-scales and K
coefficients; ours yields K logits, all means, all log-scales and all coefficients. The three
coefficients mean the same in both, in the same order: green on red, blue on red, blue on green.

The converted model has the published posteriors, priors and mixtures. Its log-likelihood is the
exact mass of every level, where the published code takes a density for masses below 1e-5.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor, nn

import mrvae
from mrvae.distributions import RawScale
from mrvae.layers import Bottleneck
from mrvae.models import HVAE, Encoder
from mrvae.models.build.weights import save_weights
from mrvae.models.cells.vdvae import VDVAECell
from mrvae.models.heads.pixels import BernoulliFamily, Head, LogisticMixtureFamily
from mrvae.models.hierarchy.decoder import CellStage
from mrvae.recipes.schema import Recipe
from mrvae.training.store.directory import RunDirectory

Pairs = Iterator[tuple[str, Tensor]]


def convert(state: Mapping[str, object], model: HVAE) -> None:
    """Copy a published state dict into ``model``, in place.

    The prefix ``module.``, which a checkpoint of several processes carries, is taken off. The
    model is left as it was if anything is wrong.

    Raises:
        ValueError: if the model is no plain VDVAE, or a tensor is missing, unexpected, of another
            shape or not finite; the first one is named.
    """
    encoder, stages, head = parts(model)
    targets = dict(counterparts(encoder, stages, head))
    order = output_order(head)
    found = checked({name.removeprefix("module."): t for name, t in state.items()}, targets)
    with torch.no_grad():
        for name, target in targets.items():
            source = found[name]
            target.copy_(source[order] if name.startswith("decoder.out_net.") else source)


def checked(state: Mapping[str, object], targets: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state's tensors if they are exactly those of the model, and finite."""
    found = {}
    for name, target in targets.items():
        tensor = state.get(name)
        if not isinstance(tensor, Tensor):
            raise ValueError(f"{name} is missing from the checkpoint; is it one of this model?")
        if tensor.shape != target.shape:
            raise ValueError(
                f"{name} has shape {tuple(tensor.shape)} in the checkpoint; "
                f"this model needs {tuple(target.shape)}"
            )
        if not (tensor.is_floating_point() and bool(tensor.isfinite().all())):
            raise ValueError(f"{name} holds values that are not finite real numbers")
        found[name] = tensor
    for name in state:
        if name not in targets:
            raise ValueError(f"{name} is in the checkpoint; this model has nothing like it")
    return found


def parts(model: HVAE) -> tuple[Encoder, list[CellStage], Head]:
    """Return what the model is made of, if it is what was published.

    Raises:
        ValueError: if a part is of another kind, reads scales otherwise, or is shared in time.
    """
    encoder, head = model.encoder, model.head
    stages = [stage for stage in model.stages if isinstance(stage, CellStage)]
    cells = [cell for stage in stages for cell in cells_of(stage)]
    if not (isinstance(encoder, Encoder) and isinstance(head, Head) and stages):
        raise ValueError("only a VDVAE has a published counterpart; name a recipe of one")
    shared = any(level.block_repeat > 1 for level in encoder.levels)
    if len(stages) != len(model.stages) or len(cells) != model.stochastic_depth or shared:
        raise ValueError("only a VDVAE without shared weights has a published counterpart")
    if not all(isinstance(cell.scale, RawScale) for cell in cells):
        raise ValueError("published scales are log σ itself; name a recipe with the raw scale")
    return encoder, stages, head


def cells_of(stage: CellStage) -> list[VDVAECell]:
    """Return the cells of one level, each of them once."""
    return [cell for cell in stage.cells if isinstance(cell, VDVAECell)]


def counterparts(encoder: Encoder, stages: Sequence[CellStage], head: Head) -> Pairs:
    """Yield every published name, in the published order, with our tensor for it."""
    yield from layer("encoder.in_conv", encoder.enter)
    for index, block in enumerate(encoder_blocks(encoder)):
        yield from bottleneck(f"encoder.enc_blocks.{index}", block)
    yield "decoder.gain", head.gain
    yield "decoder.bias", head.bias
    for index, cell in enumerate(cell for stage in stages for cell in cells_of(stage)):
        yield from cell_layers(f"decoder.dec_blocks.{index}", cell)
    biases = [stage.bias for stage in stages if stage.bias is not None]
    for index, bias in enumerate(biases):
        yield f"decoder.bias_xs.{index}", bias
    yield from layer("decoder.out_net.out_conv", head.leave)


def encoder_blocks(encoder: Encoder) -> Iterator[Bottleneck]:
    """Yield the encoder's blocks from fine to coarse, each level's pooling one last."""
    for level in range(len(encoder.levels) - 1, -1, -1):
        stacks = [encoder.stacks[level]] + ([encoder.joints[level - 1]] if level else [])
        for block in (block for stack in stacks for block in stack.children()):
            if isinstance(block, Bottleneck):
                yield block


def cell_layers(name: str, cell: VDVAECell) -> Pairs:
    """Yield the tensors of one cell by their published names."""
    yield from bottleneck(f"{name}.enc", cell.posterior_net)
    yield from bottleneck(f"{name}.prior", cell.prior_net)
    yield from layer(f"{name}.z_proj", cell.project)
    yield from bottleneck(f"{name}.resnet", cell.residual)


def bottleneck(name: str, block: Bottleneck) -> Pairs:
    """Yield the tensors of four convolutions by their published names."""
    for index, part in enumerate((block.enter, block.first, block.second, block.leave), start=1):
        yield from layer(f"{name}.c{index}", part)


def layer(name: str, convolution: nn.Conv2d) -> Pairs:
    """Yield weight and bias of a convolution."""
    yield f"{name}.weight", convolution.weight
    if convolution.bias is not None:
        yield f"{name}.bias", convolution.bias


def output_order(head: Head) -> Tensor:
    """Return for each of our output channels its place among the published ones.

    Raises:
        ValueError: if the published layout has no such family of pixel distributions.
    """
    rows = torch.arange(head.leave.out_channels)
    match head.family:
        case BernoulliFamily():
            return rows
        case LogisticMixtureFamily(3, 256, components, True):
            colours = rows[components:].reshape(3, 3, components)
            return torch.cat([rows[:components], colours.transpose(0, 1).flatten()])
        case family:
            raise ValueError(
                f"{family} has no published counterpart; "
                "published models are 8-bit, red, green and blue, and autoregressive"
            )


def read(checkpoint: Path) -> Mapping[str, object]:
    """Read a state dict without running anything that the file may carry.

    Raises:
        ValueError: if the file cannot be read, or holds anything but a dict with names.
    """
    try:
        state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        reason = str(error).strip().splitlines() or ["it is cut off"]
        raise ValueError(f"cannot read {checkpoint} as a checkpoint: {reason[0]}") from None
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise ValueError(f"{checkpoint} holds no state dict, but a {type(state).__name__}")
    return state


def write(model: HVAE, recipe: Recipe, run: Path) -> None:
    """Write the run directory that ``mrvae.load`` reads.

    Raises:
        ValueError: if the directory exists already.
    """
    if run.exists():
        raise ValueError(f"{run} exists already; name a new directory")
    directory = RunDirectory(run)
    directory.begin(recipe, seed=0)
    save_weights(directory.weights, model.state_dict())


def main(arguments: list[str] | None = None) -> int:
    """Convert one checkpoint; exit code 2 and one line if it cannot be."""
    parser = argparse.ArgumentParser(description="Convert a published VDVAE checkpoint.")
    parser.add_argument("checkpoint", type=Path, help="a .th file; take the one named -ema")
    parser.add_argument("recipe", help="the recipe of the same shape, such as vdvae-cifar10")
    parser.add_argument("--out", type=Path, required=True, help="run directory to make")
    given = parser.parse_args(arguments)
    try:
        recipe = mrvae.recipe(given.recipe)
        model = mrvae.build(recipe)
        convert(read(given.checkpoint), model)
        write(model, recipe, given.out)
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{given.out}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
