"""Properties of models and training on a CUDA device; run with ``pytest -m gpu``."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import mrvae
from mrvae.data import load, normal
from mrvae.models.build.weights import load as load_model
from mrvae.recipes import override
from mrvae.training import train

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
]

_SHORT = ("steps=20", "batch=16", "warmup=5", "validate_every=10", "checkpoint_every=10")


def test_bound_on_cuda_equals_bound_on_cpu() -> None:
    torch.manual_seed(0)
    model = mrvae.build(mrvae.recipe("digits-vdvae")).double()
    x = load("digits", "test").take(torch.arange(8))
    noise = normal(0, 0, range(8), model.latent_noise_size, dtype=torch.float64)
    on_cpu = model.elbo(x, noise)
    on_cuda = model.cuda().elbo(x.cuda(), noise.cuda())
    torch.testing.assert_close(on_cuda.kl.cpu(), on_cpu.kl, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(on_cuda.value.cpu(), on_cpu.value, rtol=1e-9, atol=1e-9)


def test_noise_of_an_image_does_not_depend_on_its_batch() -> None:
    whole = normal(3, 5, range(6), 50, "cuda")
    assert torch.equal(normal(3, 5, [4], 50, "cuda"), whole[4:5])


@pytest.mark.parametrize(
    "choices", [(), ("precision=bfloat16",), ("precision=bfloat16", "compile=true")]
)
def test_training_lowers_the_bound(choices: tuple[str, ...], tmp_path: Path) -> None:
    recipe = override(mrvae.recipe("digits-vdvae"), (*_SHORT, *choices))
    summary = train(recipe, tmp_path / "run", quiet=True)
    untrained = 64 * torch.log(torch.tensor(17.0))
    assert summary.nats < untrained
    assert load_model(tmp_path / "run").stochastic_depth == recipe.depth
