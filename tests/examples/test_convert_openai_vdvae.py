"""A published state dict, converted: the same KLs, features and likelihood, in float64."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch
from msgspec import structs
from torch import Tensor

import mrvae
from literal.vdvae import VAE, Hyperparameters, logistic_mixture
from mrvae.models import HVAE
from mrvae.models.build import build
from mrvae.recipes.data import Data
from mrvae.recipes.schema import (
    BernoulliPixels,
    CategoricalPixels,
    Likelihood,
    LogisticMixturePixels,
    Model,
    Normalise,
    Recipe,
    SoftplusScaleSpec,
    Training,
)

ENCODER, DECODER = "8x2,8d2,4x1,4d4,1x2", "1x2,4m1,4x1,8m4,8x3"
DMOL = LogisticMixturePixels(components=4)
INPUT = Normalise(120.63838, 64.16736)

State = dict[str, Tensor]
Spoil = Callable[[State], None]


def load_example() -> ModuleType:
    path = Path(__file__).parents[2] / "examples" / "convert_openai_vdvae.py"
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = load_example()


def shape(widths: dict[int, int] | None = None) -> Hyperparameters:
    return Hyperparameters(
        ENCODER,
        DECODER,
        width=8,
        zdim=3,
        image_channels=3,
        image_size=8,
        custom_widths=widths or {},
        num_mixtures=4,
    )


def architecture(
    width: tuple[int, ...] = (8,), likelihood: Likelihood = DMOL, channels: int = 3, size: int = 8
) -> Model:
    return Model(channels, size, ENCODER, DECODER, width, (3,), likelihood, INPUT)


def recipe_of(model: Model) -> Recipe:
    data = Data("digits", binary=isinstance(model.likelihood, BernoulliPixels))
    return Recipe("test", "", "", "", "cpu", 1, 8, data, model, Training(steps=1, batch=1))


def ours(model: Model) -> HVAE:
    return build(recipe_of(model)).double()


def published(H: Hyperparameters) -> VAE:
    """Random values in every tensor, small enough in the last for no mass to be below 1e-5."""
    torch.manual_seed(0)
    model = VAE(H).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.2)
        model.decoder.gain.add_(1.0)
        model.decoder.out_net.out_conv.weight.mul_(0.5)
    return model


def flat(noise: list[Tensor]) -> Tensor:
    """One row of noise for each image, channels fastest, as our decoder cuts it."""
    return torch.cat([part.permute(0, 2, 3, 1).flatten(1) for part in noise], dim=1)


def images(channels: int = 3, size: int = 8, levels: int = 256) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    drawn = torch.randint(0, levels, (4, channels, size, size), generator=generator)
    drawn[0, :, 0, 0], drawn[0, :, 0, 1] = 0, levels - 1
    return drawn.to(torch.uint8)


@pytest.mark.parametrize("widths", [{}, {4: 16, 1: 24}], ids=["equal", "widening"])
def test_converted_model_is_the_published_one(widths: dict[int, int]) -> None:
    theirs = published(shape(widths))
    mine = ours(architecture(width=(24, 16, 8) if widths else (8,)))
    example.convert(theirs.state_dict(), mine)
    x, noise = images(), theirs.noise(4, torch.Generator().manual_seed(1))
    with torch.no_grad():
        levels = x.double()
        expected = theirs((levels - INPUT.mean) / INPUT.std, (levels - 127.5) / 127.5, noise)
        found = mine.elbo(x, flat(noise))
    assert torch.allclose(found.kl, expected.kl, rtol=1e-10, atol=1e-10)
    assert torch.allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-10, atol=0)


def test_samples_of_the_prior_agree() -> None:
    theirs, mine = published(shape()), ours(architecture())
    example.convert(theirs.state_dict(), mine)
    generator = torch.Generator().manual_seed(2)
    row = mine.noise(3, generator)
    noise = mine.decoder.split_noise(row)
    x = images()[:3]
    with torch.no_grad():
        features = theirs.decoder.unconditional(noise, temperature=0.7)
        parameters = theirs.decoder.out_net(features)
        found = mine.draw(3, 0.7, torch.Generator().manual_seed(2)).log_prob(x)
        expected = published_log_prob(x, parameters)
    assert torch.allclose(found, expected, rtol=1e-10, atol=0)


def published_log_prob(x: Tensor, parameters: Tensor) -> Tensor:
    return logistic_mixture((x.double() - 127.5) / 127.5, parameters)


def test_bernoulli_heads_agree() -> None:
    H = replace(shape(), image_channels=1, bernoulli=True, scored_size=6)
    theirs = published(H)
    mine = ours(architecture(likelihood=BernoulliPixels(), channels=1, size=6))
    example.convert(theirs.state_dict(), mine)
    x, noise = images(1, 6, levels=2), theirs.noise(4, torch.Generator().manual_seed(1))
    target = torch.nn.functional.pad(x.double(), (1, 1, 1, 1))
    with torch.no_grad():
        expected = theirs((target - INPUT.mean) / INPUT.std, target, noise)
        found = mine.elbo(x, flat(noise))
    assert torch.allclose(found.kl, expected.kl, rtol=1e-10, atol=1e-10)
    assert torch.allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", ["vdvae-cifar10", "vdvae-imagenet32", "vdvae-imagenet64"])
def test_published_recipes_have_every_published_tensor(name: str) -> None:
    recipe = mrvae.recipe(name)
    model = recipe.hierarchy
    H = Hyperparameters(
        model.encoder,
        model.decoder,
        width=model.width[0],
        zdim=model.latent[0],
        image_channels=3,
        image_size=model.image[1],
    )
    with torch.device("meta"):
        theirs, mine = VAE(H).state_dict(), build(recipe)
        found = dict(example.counterparts(*example.parts(mine)))
    shapes = [(name, tensor.shape) for name, tensor in found.items()]
    assert shapes == [(name, tensor.shape) for name, tensor in theirs.items()]
    assert {id(t) for t in found.values()} == {id(p) for p in mine.parameters()}


def test_prefix_of_several_processes_is_taken_off() -> None:
    state = published(shape()).state_dict()
    plain, wrapped = ours(architecture()), ours(architecture())
    example.convert(state, plain)
    example.convert({f"module.{name}": tensor for name, tensor in state.items()}, wrapped)
    pairs = zip(plain.parameters(), wrapped.parameters(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def remove(state: State) -> None:
    del state["decoder.dec_blocks.3.z_proj.bias"]


def add(state: State) -> None:
    state["decoder.dec_blocks.8.z_proj.bias"] = torch.zeros(8)


def reshape(state: State) -> None:
    state["encoder.enc_blocks.2.c2.weight"] = torch.zeros(2, 2, 1, 1)


def poison(state: State) -> None:
    state["decoder.gain"] = torch.full((1, 8, 1, 1), torch.nan)


def mistype(state: State) -> None:
    state["decoder.bias"] = torch.zeros(1, 8, 1, 1, dtype=torch.int64)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (remove, "decoder.dec_blocks.3.z_proj.bias is missing"),
        (add, "decoder.dec_blocks.8.z_proj.bias is in the checkpoint"),
        (reshape, "encoder.enc_blocks.2.c2.weight has shape"),
        (poison, "decoder.gain holds"),
        (mistype, "decoder.bias holds"),
    ],
)
def test_foreign_tensors_are_named_and_change_nothing(spoil: Spoil, message: str) -> None:
    state, mine = published(shape()).state_dict(), ours(architecture())
    before = [parameter.clone() for parameter in mine.parameters()]
    spoil(state)
    with pytest.raises(ValueError, match=message):
        example.convert(state, mine)
    assert all(torch.equal(a, b) for a, b in zip(before, mine.parameters(), strict=True))


@pytest.mark.parametrize(
    "model",
    [
        architecture(likelihood=LogisticMixturePixels(bins=32, components=4)),
        architecture(likelihood=LogisticMixturePixels(components=4, autoregressive=False)),
        architecture(likelihood=CategoricalPixels(17), channels=1),
        structs.replace(architecture(), scale=SoftplusScaleSpec()),
        structs.replace(architecture(), decoder="1x2,4m1,4x1,8m4,8x3r2"),
        structs.replace(architecture(), encoder="8x2r2,8d2,4x1,4d4,1x2"),
    ],
    ids=["5-bit", "independent", "categorical", "softplus", "shared-cells", "shared-blocks"],
)
def test_models_without_counterpart_are_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="published"):
        example.convert(published(shape()).state_dict(), ours(model))


@pytest.fixture
def small_recipe(monkeypatch: pytest.MonkeyPatch) -> Recipe:
    recipe = recipe_of(architecture())
    monkeypatch.setattr(mrvae, "recipe", {"small": recipe}.__getitem__)
    return recipe


def test_the_run_that_is_written_loads(tmp_path: Path, small_recipe: Recipe) -> None:
    checkpoint, run = tmp_path / "model-ema.th", tmp_path / "runs" / "converted"
    theirs = published(shape()).float()
    torch.save(theirs.state_dict(), checkpoint)
    assert example.main([str(checkpoint), "small", "--out", str(run)]) == 0
    loaded, direct = mrvae.load(run), build(small_recipe)
    example.convert(theirs.state_dict(), direct)
    found, expected = loaded.state_dict(), direct.state_dict()
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


class Malice:
    """What a file must never be able to do: run something as it is read."""

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return print, ("run",)


@pytest.mark.parametrize("content", ["text", "list", "malice", "nothing"])
def test_bad_files_end_with_one_line(
    content: str, tmp_path: Path, small_recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint, run = tmp_path / "model.th", tmp_path / "run"
    if content == "text":
        checkpoint.write_text("not a checkpoint")
    elif content != "nothing":
        torch.save([torch.zeros(1)] if content == "list" else Malice(), checkpoint)
    assert example.main([str(checkpoint), "small", "--out", str(run)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == 1
    assert str(checkpoint) in captured.err
    assert not run.exists()


def test_an_existing_run_is_left_alone(
    tmp_path: Path, small_recipe: Recipe, capsys: pytest.CaptureFixture[str]
) -> None:
    checkpoint = tmp_path / "model.th"
    torch.save(published(shape()).float().state_dict(), checkpoint)
    assert example.main([str(checkpoint), "small", "--out", str(tmp_path)]) == 2
    assert "exists already" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["model.th"]
