"""Runs of wavelet models and of their baseline: exact to the bit, and known to every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace

import mrvae
from helpers.tiny_run import outcome, train_until
from mrvae.cli import main
from mrvae.data import images_for
from mrvae.evaluation import evaluate
from mrvae.models.build.weights import load
from mrvae.recipes import Recipe, from_json, override, to_json
from mrvae.recipes import wavelet as spec
from mrvae.training import train

AROUND = spec.LogisticImage(bins=17)
BOUND = spec.WaveletVAE(
    channels=1,
    size=8,
    depth=3,
    likelihood=AROUND,
    encoder=spec.Pyramid(width=8, blocks=1),
    noise=spec.NoiseFromImage(initial=0.1),
    prior=spec.CoarseToFine(width=8, blocks=1, shared=True),
)
PAPER = replace(
    BOUND, noise=spec.NoisePerKind(learnt=False), prior=spec.Independent(), loss=spec.Sparse()
)
BASELINE = spec.VAE(1, 8, 2, 2, AROUND, width=8, loss=spec.Weighted())
MODELS: dict[str, spec.WaveletVAE | spec.VAE] = {
    "bound": BOUND,
    "paper": PAPER,
    "baseline": BASELINE,
}
MOST_SLOWLY = ["paper", *(pytest.param(n, marks=pytest.mark.slow) for n in ("bound", "baseline"))]


def tiny(model: spec.WaveletVAE | spec.VAE, *changes: str) -> Recipe:
    base = override(
        replace(mrvae.recipe("digits-vdvae"), name="tiny"),
        ["batch=8", "warmup=2", "steps=8", "validate_every=4", "checkpoint_every=3"],
    )
    return override(replace(base, model=model), changes)


Trained = Callable[[str], Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Return what trains a model of a name, once."""
    folder = tmp_path_factory.mktemp("runs")

    @cache
    def run(name: str) -> Path:
        train(tiny(MODELS[name]), folder / name, quiet=True)
        return folder / name

    return run


@pytest.mark.parametrize("name", MOST_SLOWLY)
def test_an_interrupted_run_ends_as_a_whole_one(
    name: str, tmp_path: Path, trained: Trained
) -> None:
    out = tmp_path / "run"
    train_until(tiny(MODELS[name]), out, 4)
    train(tiny(MODELS[name]), out, resume=True, quiet=True)
    found, expected = outcome(out), outcome(trained(name))
    assert found.keys() == expected.keys()
    assert [key for key in found if found[key] != expected[key]] == []


@pytest.mark.parametrize("name", MOST_SLOWLY)
def test_a_run_is_evaluated_by_its_bound(name: str, trained: Trained) -> None:
    """Whatever it was trained by; the last validation is that of the same draws."""
    model = load(trained(name))
    images = images_for(tiny(MODELS[name]), "validation")
    report = evaluate(model, images, samples=4)
    lines = (trained(name) / "metrics.jsonl").read_text().splitlines()
    events = [json.loads(line) for line in lines]
    validated = [event["validation_nats"] for event in events if "validation_nats" in event]
    assert report.nats.mean().item() == pytest.approx(validated[-1], rel=1e-4)
    assert report.importance_nats.mean() < report.nats.mean()
    cut = evaluate(model, images, samples=4, memory=1 << 14)
    torch.testing.assert_close(cut.importance_nats, report.importance_nats, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", MOST_SLOWLY)
def test_every_command_reads_it(
    name: str, tmp_path: Path, trained: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(*arguments: object) -> dict[str, object]:
        assert main([*map(str, arguments), "--json"]) == 0
        answer: dict[str, object] = json.loads(capsys.readouterr().out)
        return answer

    run, out = trained(name), ("--out", tmp_path / "picture.png")
    depth = load(run).stochastic_depth
    few = ("--limit", 4, "--importance-samples", 2, "--quiet")
    assert ask("evaluate", run, *few)["stochastic_depth"] == depth
    temperatures = ",".join(["0.5"] * depth)
    ask("sample", run, "--n", 4, "--temperature", temperatures, *out)
    ask("reconstruct", run, "--keep", 1, "--n", 4, *out)
    ask("inspect", run, "latents", "--limit", 4, *out)
    assert main(["evaluate", str(run), "--repeat", "2"]) == 2
    assert "the model of tiny repeats no cells" in capsys.readouterr().err


def test_a_wavelet_recipe_is_described(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["describe", "digits-wavelet", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [level["size"] for level in found["levels"]] == [1, 2, 4, 8]
    assert [level["latents"] for level in found["levels"]] == [1, 3, 12, 48]
    assert (found["latents"], found["stochastic_depth"]) == (64, 4)
    assert found["parameters"] == mrvae.recipe("digits-wavelet").parameters


# ---------------------------------------------------------------------------------------- recipes


def test_every_kind_of_model_is_written_by_its_name() -> None:
    written = to_json(mrvae.recipe("digits-vdvae"))["model"]
    assert isinstance(written, dict)
    assert written["kind"] == "hierarchy"
    other = to_json(tiny(PAPER))["model"]
    assert isinstance(other, dict)
    assert (other["kind"], other["loss"]["kind"], other["noise"]["kind"]) == (
        "wavelet_vae",
        "sparse",
        "kind",
    )
    with pytest.raises(ValueError, match="expected one of hierarchy, wavelet_vae, vae, "):
        from_json({**to_json(tiny(PAPER)), "model": {**other, "kind": "flow"}})
    with pytest.raises(ValueError, match="'tiny' has no hierarchy of blocks"):
        tiny(PAPER).hierarchy.encoder.split(",")


def test_its_values_are_changed_from_the_command_line() -> None:
    changed = override(tiny(PAPER), ["loss.weights=0.1,0.2,0.3", "noise=global", "noise.initial=1"])
    assert isinstance(changed.model, spec.WaveletVAE)
    assert changed.model.loss == spec.Sparse(weights=(0.1, 0.2, 0.3))
    assert changed.model.noise == spec.GlobalNoise(initial=1.0)
    with pytest.raises(ValueError, match=r"weights\[0\]: found 'x', expected a finite number"):
        override(tiny(PAPER), ["weights=x"])
    with pytest.raises(ValueError, match="2 weights for 3 levels of details"):
        override(tiny(PAPER), ["weights=1,2"])
    with pytest.raises(ValueError, match="weighs a KL, and loss=sparse has none"):
        override(tiny(PAPER), ["kl.free_nats=1"])
    with pytest.raises(ValueError, match="'model'"):
        override(tiny(PAPER), ["model=vae"])
