"""The cell, encoder and top-latent skip of Kuzina & Tomczak (2023)."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest
import torch
from model_tools import images, posterior_trace, randomise
from msgspec.structs import replace
from torch import Tensor

import mrvae
from helpers.narrow import gaussian
from mrvae.models import HVAE, parse_levels
from mrvae.models.build import build, hierarchy
from mrvae.models.build.weights import read_tensors, save_weights
from mrvae.models.cells.top_latent_skip import TopLatentSkipStage
from mrvae.models.hierarchy.walk import from_prior
from mrvae.recipes import Recipe, override
from mrvae.recipes.context import Context, DCTSpec, FactorisedSpec, NoContextSpec
from mrvae.recipes.schema import TopDown

PLAIN, NORMED, SKIPPING = TopDown(), TopDown(weight_norm=True), TopDown(top_latent_skip=True)
BARE = TopDown(shortcut=False)
NO_CONTEXT = NoContextSpec()
CELLS = (PLAIN, BARE, NORMED, SKIPPING)


def small(
    cell: TopDown = PLAIN,
    *,
    encoder: str = "16d2,8x2,8d2,4x1",
    width: tuple[int, ...] = (6, 4, 4),
    synchronous: bool = True,
    context: Context = NO_CONTEXT,
) -> Recipe:
    """Return the recipe of MNIST's baseline for images of 16 × 16, with few channels."""
    recipe = mrvae.recipe("kuzina2023-mnist-vdvae")
    model = replace(
        recipe.hierarchy,
        size=16,
        encoder=encoder,
        decoder="4x2,8m4,8x2,16u8",
        width=width,
        cell=cell,
        synchronous=synchronous,
        context=context,
    )
    return replace(recipe, model=model)


def make(cell: TopDown = PLAIN, seed: int | None = 0, *, context: Context = NO_CONTEXT) -> HVAE:
    return ready(small(cell, context=context), seed)


def ready(recipe: Recipe, seed: int | None = 0) -> HVAE:
    """Build a model in float64, its weights random if a seed is given, and fit its context."""
    torch.manual_seed(1)
    model = build(recipe).double()
    if seed is not None:
        randomise(model, seed)
    model.context.fit(images(model, 20, seed=5))
    return model


def normals(model: HVAE, count: int) -> Tensor:
    stream = torch.Generator().manual_seed(3)
    return torch.randn(count, model.noise_size, generator=stream, dtype=torch.float64)


def nats(model: HVAE, x: Tensor, drawn: Tensor) -> Tensor:
    return model.elbo(x, drawn).nats.mean()


@pytest.mark.parametrize(
    ("cell", "factor"), list(zip(CELLS, (1.0, 100.0, 100.0, 100.0), strict=True))
)
@torch.no_grad()
def test_every_variance_is_bounded(cell: TopDown, factor: float) -> None:
    """e^-2.5 ≤ σ ≤ 1 for posterior and prior, also where the networks' output is extreme."""
    model = make(cell)
    for parameter in model.parameters():
        parameter.mul_(factor ** (1 / 8))
    x = images(model, 3)
    for step in posterior_trace(model, x, normals(model, 3)).steps:
        assert step.posterior is not None
        for log_scale in (step.posterior.log_scale, gaussian(step.prior).log_scale):
            assert log_scale.min() >= -2.5
            assert log_scale.max() <= 0.0


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_a_model_begins_with_one_prior_and_no_residual(cell: TopDown) -> None:
    """Mean 0, variance log(2)/0.7, nothing added to h; and blocks of equal width are identities."""
    model = make(cell, seed=None)
    h = torch.randn(2, 6, 4, 4, dtype=torch.float64)
    if cell.top_latent_skip:
        h = torch.cat((h, torch.randn(2, 1, 4, 4, dtype=torch.float64)), dim=1)
    visit = model.stages[0].visits[1]
    distribution, moved = visit.prior(h)
    prior = gaussian(distribution)
    assert torch.equal(moved, h)
    assert not prior.mean.any()
    variance = torch.full_like(prior.mean, math.log(2) / 0.7)
    torch.testing.assert_close((2 * prior.log_scale).exp(), variance, rtol=1e-12, atol=0)
    features = model.features(images(model, 3))
    assert torch.equal(features[2], features[4])  # of the level of 8, whose blocks change no width


def idle(model: HVAE) -> set[str]:
    """Return the parameters that have no gradient, or one of zeros."""
    return {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}


@pytest.mark.parametrize("cell", CELLS)
def test_after_one_step_a_gradient_reaches_every_parameter(cell: TopDown) -> None:
    """ReZero's scalars begin at zero, so the networks learn later; those of a zero state, never."""
    model = make(cell, seed=None)
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)
    x, drawn = images(model, 8), normals(model, 8)
    for _ in range(3):
        optimizer.zero_grad()
        nats(model, x, drawn).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    first = (
        "decoder.modules_.0."
        + ("stage.cells.0.cell." if cell.top_latent_skip else "cells.0.")
        + "prior_net"
    )
    blind = {f"{first}.net.0", f"{first}.skip", f"{first}.0"}
    assert all(any(name.startswith(f"{part}.") for part in blind) for name in idle(model))
    assert not any(name.endswith("bias") for name in idle(model))


def test_with_a_context_no_parameter_is_idle() -> None:
    model = make(seed=None, context=DCTSpec(3, prior=FactorisedSpec()))
    optimizer = torch.optim.SGD(model.parameters(), 1e-2)
    x, drawn = images(model, 8), normals(model, 8)
    for _ in range(3):
        optimizer.zero_grad()
        nats(model, x, drawn).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    assert idle(model) == set()


def test_the_first_step_moves_every_scalar_that_lets_a_network_in() -> None:
    model = make(seed=None)
    nats(model, images(model, 8), normals(model, 8)).backward()  # type: ignore[no-untyped-call]
    betas = {name: p.grad for name, p in model.named_parameters() if name.endswith("beta")}
    assert len(betas) == 5 + 3 * 5
    blind = "decoder.modules_.0.cells.0.prior_net.beta"  # only its bias sees the state of zeros
    assert all(grad is not None and grad.any() for name, grad in betas.items() if name != blind)


@pytest.mark.parametrize(
    ("name", "depth", "latents"),
    [
        ("kuzina2023-mnist-L4", 4, 490),
        ("kuzina2023-mnist-L6", 6, 735),
        ("kuzina2023-mnist-vdvae", 8, 980),
        ("kuzina2023-mnist-L10", 10, 1225),
        ("kuzina2023-cifar10-vdvae", 29, 105_352),
    ],
)
def test_models_have_the_published_latents(name: str, depth: int, latents: int) -> None:
    with torch.device("meta"):
        model = build(mrvae.recipe(name))
    assert (model.stochastic_depth, model.latent_noise_size) == (depth, latents)


def test_a_recomputed_backward_pass_has_the_same_gradients() -> None:
    for cell in (NORMED, SKIPPING):
        model = make(cell)
        x, drawn = images(model, 3), normals(model, 3)
        found = []
        for _ in range(2):
            model.zero_grad()
            nats(model, x, drawn).backward()  # type: ignore[no-untyped-call]
            found.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
            model.enable_activation_checkpointing()
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


@pytest.mark.parametrize("cell", CELLS)
@torch.no_grad()
def test_convolutions_in_bfloat16_leave_the_latents_in_full_precision(cell: TopDown) -> None:
    model = make(cell).float()
    x, drawn = images(model, 3), normals(model, 3).float()
    exact = model.elbo(x, drawn).nats
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model.elbo(x, drawn).nats
        steps = posterior_trace(model, x, drawn).steps
    scales = [gaussian(step.prior).log_scale for step in steps]
    assert all(tensor.dtype == torch.float32 for tensor in (*scales, *(s.z for s in steps)))
    torch.testing.assert_close(rounded, exact, rtol=0.03, atol=0)


@torch.no_grad()
def test_a_top_latent_skip_with_zero_weights_changes_nothing() -> None:
    """z₁ is carried down the hierarchy, and enters a level by the skip's convolution only."""
    plain, skipping = make(PLAIN), make(SKIPPING)
    weights = {
        name.replace(".stage.", ".").replace(".cell.", "."): value
        for name, value in skipping.state_dict().items()
        if re.match(r"decoder\.modules_\.\d\.skip", name) is None
    }
    plain.load_state_dict(weights)
    drawn = normals(plain, 2)
    before, expected = last_state(skipping, drawn), last_state(plain, drawn)
    assert (before - expected).abs().max() > 0.01
    for stage in skipping.stages:
        assert isinstance(stage, TopLatentSkipStage)
        for parameter in () if stage.skip is None else stage.skip.parameters():
            parameter.zero_()
    assert torch.equal(last_state(skipping, drawn), expected)


def last_state(model: HVAE, drawn: Tensor) -> Tensor:
    """Return the last state of draws from the prior."""
    return model.trace(model.condition(()), from_prior(), drawn).state


@torch.no_grad()
def test_each_cell_reads_a_state_of_its_own_or_the_last_of_its_level() -> None:
    model = make()
    own = model.features(images(model, 2))
    assert len({id(state) for state in own}) == 5
    # Twins face each other: the state that was pooled onto a level is read by its last cell.
    last = model.encoder.get_submodule("stacks.0.0")
    assert torch.equal(last(own[1]), own[0])
    model = ready(small(synchronous=False, encoder="16d2,8x1,8d2,4x3"))
    coarse, _, *fine = shared = model.features(images(model, 2))
    assert [id(state) for state in shared] == [id(coarse)] * 2 + [id(fine[0])] * 3


@torch.no_grad()
def test_a_context_conditions_levels_that_have_latents() -> None:
    model = make(context=DCTSpec(3, prior=FactorisedSpec()))
    added = model.observe(images(model, 2)).conditioning
    assert [None if tensor is None else tensor.shape[-1] for tensor in added] == [4, 8, None]


# ------------------------------------------------------------------------------------ weight norm


def test_weight_norm_changes_no_function_and_learns_direction_and_length() -> None:
    """At the drawn weights g is their norm; thinning v leaves the function, and scaling g not."""
    plain, normed = make(PLAIN, seed=None), make(NORMED, seed=None)
    randomise(plain, 4)
    weights = plain.state_dict()
    normed.load_state_dict(as_normed(weights, set(normed.state_dict())))
    x, drawn = images(plain, 3), normals(plain, 3)
    exact = plain.elbo(x, drawn).nats
    torch.testing.assert_close(normed.elbo(x, drawn).nats, exact, rtol=1e-12, atol=0)
    lengths = [p for n, p in normed.named_parameters() if n.endswith("original0")]
    directions = [p for n, p in normed.named_parameters() if n.endswith("original1")]
    assert len(lengths) == len(directions) == 5 * 4 + 5 * (3 + 2 + 3)
    nats(normed, x, drawn).backward()  # type: ignore[no-untyped-call]
    for g, v in zip(lengths, directions, strict=True):
        assert g.grad is not None
        assert v.grad is not None
        along = (v.grad * v).flatten(1).sum(dim=1)  # the function does not depend on ‖v‖
        assert along.abs().max() < 1e-10 * max(1.0, float(v.grad.abs().max()))


def as_normed(weights: dict[str, Tensor], names: set[str]) -> dict[str, Tensor]:
    """Return the same weights by length and direction, the latter at three times its length."""
    found = {}
    for name, value in weights.items():
        stem = name.removesuffix("weight") + "parametrizations.weight.original"
        if f"{stem}0" in names:
            found[f"{stem}0"] = value.flatten(1).norm(dim=1).view(-1, 1, 1, 1)
            found[f"{stem}1"] = 3 * value
        else:
            found[name] = value
    return found


def test_normed_weights_go_to_disk_and_back(tmp_path: Path) -> None:
    model = make(NORMED)
    save_weights(tmp_path / "w.safetensors", dict(model.state_dict()))
    with torch.device("meta"):
        again = build(small(NORMED)).double()
    again.load_state_dict(read_tensors(tmp_path / "w.safetensors", again), assign=True)
    x, drawn = images(model, 2), normals(model, 2)
    assert torch.equal(again.elbo(x, drawn).nats, model.elbo(x, drawn).nats)


# ------------------------------------------------------------------------- what is refused


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match=r"at 8 there are 2, the pooled one counted, and 3 cells"):
        build(small(encoder="16d2,8x1,8d2,4x1"))
    with pytest.raises(ValueError, match=r"last cell at 4 leads from width 6 to 4"):
        build(small(synchronous=False), repeat=2)
    with pytest.raises(ValueError, match=r"set model\.cell\.top_latent_skip=false"):
        small(SKIPPING, context=DCTSpec(3, prior=FactorisedSpec()))
    with pytest.raises(ValueError, match=r"lowest is 1\.0; it must be less than highest"):
        override(small(), ["model.scale.lowest=1"])


@torch.no_grad()
def test_shared_cells_are_visited_again() -> None:
    """Of equal widths all but the mixing cell can be repeated."""
    model = build(small(width=(4,), synchronous=False), repeat=3).double()
    assert model.stochastic_depth == 2 * 3 + 1 + 2 * 3
    cells = model.stages[1].visits
    assert [cells.index(cell) for cell in cells] == [0, 1, 1, 1, 4, 4, 4]


def test_a_level_without_cells_is_a_change_of_size_alone() -> None:
    levels = parse_levels("16d2,8x1,8d2,4x1", "4x1,8m4,8x1,16u8", [8], [2])
    assert [(level.size, level.mixes, level.drawn) for level in levels] == [
        (4, True, True), (8, True, True), (16, False, False),
    ]  # fmt: skip
    frame = make().frame
    recipe = small()
    model = hierarchy(levels, frame, recipe.hierarchy.likelihood).double()  # the cell of Child
    assert [shape[1] for shape in model.shapes] == [4, 8, 8]
    model.elbo(images(model, 2)).nats.sum().backward()  # type: ignore[no-untyped-call]
