"""Runs of recipes with a context: S is measured once, and saved with the weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import mrvae
from helpers.tiny_run import after_step, outcome, run_identity, tiny, train_until, updater
from mrvae.data import images_for, normal, whole
from mrvae.distributions import MidRise
from mrvae.evaluation import evaluate, latent_units
from mrvae.models import DCTContext
from mrvae.models.context.conditioner import ContextConditioner
from mrvae.recipes import Recipe
from mrvae.training import train
from mrvae.training.store import checkpoint
from mrvae.training.store.state import TrainingProgress
from mrvae.training.update import Updater

STEPS = ("steps=12", "validate_every=6", "checkpoint_every=5")
DIFFUSION = (*STEPS, "model.context=dct", "unet_width=16", "unet_blocks=1")
EXPLICIT = (*STEPS, "model.context=pooled", "model.context.prior=autoregressive", "hidden=8")
MAGNITUDE = "context.prior.lattice.magnitude"


@pytest.mark.parametrize("changes", [DIFFUSION, EXPLICIT], ids=["diffusion", "explicit"])
def test_a_stopped_and_killed_run_ends_as_an_uninterrupted_one(
    changes: tuple[str, ...], tmp_path: Path
) -> None:
    recipe = tiny(*changes)
    train(recipe, tmp_path / "whole", quiet=True)
    train_until(recipe, tmp_path / "broken", 3)
    resumed_and_killed(recipe, tmp_path / "broken")
    train(recipe, tmp_path / "broken", resume=True, quiet=True)
    assert outcome(tmp_path / "broken") == outcome(tmp_path / "whole")
    weights = load_file(tmp_path / "whole" / "weights.safetensors")
    context = mrvae.load(tmp_path / "whole").context
    assert isinstance(context, ContextConditioner)
    assert torch.equal(context.state_dict()["prior.lattice.magnitude"], weights[MAGNITUDE])
    assert int(weights[MAGNITUDE].min()) >= 0
    assert not any(name.endswith(("reach", "degree")) for name in weights)


def resumed_and_killed(recipe: Recipe, out: Path) -> None:
    """Go on from the last checkpoint, and be killed when another has been written."""

    def die() -> None:
        raise SystemExit(9)

    with pytest.MonkeyPatch.context() as patch:
        after_step(patch, 8, die)
        with pytest.raises(SystemExit):
            train(recipe, out, resume=True, quiet=True)


@pytest.mark.parametrize("binary", [False, True])
def test_s_is_that_of_the_training_images_as_the_encoder_sees_them(
    binary: bool, tmp_path: Path
) -> None:
    """Of binary images: the largest coefficient of zeros and ones, not of grey values."""
    changes = ("steps=1", "binary=true", "likelihood=bernoulli") if binary else ("steps=1",)
    recipe = tiny(*DIFFUSION, *changes)
    train(recipe, tmp_path / "run", quiet=True)
    found = load_file(tmp_path / "run" / "weights.safetensors")[MAGNITUDE]
    images = images_for(recipe, "train")
    seen = (images.binarised(0) if binary else images).take(torch.arange(len(images)))
    by_hand = DCTContext((1, 8, 8), 3, MidRise(2), bins=2 if binary else 17)
    by_hand.fit(seen)
    assert torch.equal(found, by_hand.magnitude)


def test_a_checkpoint_brings_back_s_exactly(tmp_path: Path) -> None:
    recipe = tiny(*DIFFUSION)
    state, other = updater(recipe), updater(recipe, seed=1)
    x = images_for(recipe, "train").take(torch.arange(40))
    state.model.context.fit(x)
    state.update(0)
    run = run_identity(recipe)
    checkpoint.save(tmp_path / "state", state, TrainingProgress(1), keep=1, run=run)
    checkpoint.restore(tmp_path / "state", other, run)
    assert list(other.buffers) == [MAGNITUDE]
    assert torch.equal(other.buffers[MAGNITUDE], state.buffers[MAGNITUDE])
    assert torch.equal(
        other.model.elbo(x[:2], noise(other)).nats, state.model.elbo(x[:2], noise(state)).nats
    )


def noise(state: Updater) -> torch.Tensor:
    return normal(0, 0, range(2), state.model.noise_size)


def test_the_term_of_an_image_depends_only_on_its_index() -> None:
    recipe = tiny(*DIFFUSION)
    state = updater(recipe)
    _, eps, terms = state.inputs(4, range(8))
    assert terms is not None
    _, part_eps, part = state.inputs(4, range(3, 5))
    assert part is not None
    assert torch.equal(part, terms[3:5])
    assert torch.equal(part_eps, eps[3:5])
    assert terms.tolist() == whole(0, 4, range(8), 7).tolist()
    many = whole(0, 1, range(7000), 7).bincount()[1:]
    # Of 7000 draws each of the seven terms has 1000 ± 29.
    assert bool(((many - 1000).abs() < 120).all())


def test_evaluation_counts_the_context_once() -> None:
    recipe = tiny(*EXPLICIT)
    model = updater(recipe).model
    images = images_for(recipe, "train")
    model.context.fit(images.tensor())
    few = images.subset(torch.arange(5))
    x = few.take(torch.arange(5))
    # An explicit prior needs no noise: log p(c) is the same in both bounds and in any chunk.
    context = -model.elbo(x).kl[:, 0].detach().double()
    one = evaluate(model, few, samples=4)
    cut = evaluate(model, few, samples=4, memory=1)
    torch.testing.assert_close(one.importance_nats, cut.importance_nats, rtol=1e-4, atol=1e-3)
    eps = torch.stack([normal(0, k, range(5), model.latent_noise_size) for k in range(1, 5)])
    log_likelihood, trace = model.importance_draws(model.observe(x), x, eps)
    weights = (log_likelihood + trace.log_ratio()).view(4, 5).detach().double()
    expected = -(weights.logsumexp(0) - torch.tensor(4.0).log() + context)
    torch.testing.assert_close(one.importance_nats, expected, rtol=1e-4, atol=1e-3)
    units = latent_units(model, few)
    assert len(units.units) == model.stochastic_depth
    assert units.units[0] == 16
    varied = model.encode(x)[0].double().flatten(1).var(0, unbiased=False) > 0
    assert units.active[0] == int(varied.sum()) > 0
