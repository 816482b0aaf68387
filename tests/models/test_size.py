"""A model is counted from its recipe's numbers alone, exactly, and refused before it is built."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import torch
from torch import nn

import mrvae
from mrvae.cli import main
from mrvae.evaluation import describe
from mrvae.models.build import build, size_of
from mrvae.models.build.size import LARGEST, check_size
from mrvae.models.build.size.layers import Size
from mrvae.models.build.weights import load, save_weights
from mrvae.models.context.priors.autoregressive import MaskedLinear
from mrvae.recipes import ALL, Recipe, override, recipe, to_json

_WAVELET = "kiruluta2025-cifar10-32-wavelet"
VARIANTS = (
    ("digits-vdvae", "cell=nvae", "fourier=0,1", "bias_up_to=0"),
    ("digits-vdvae", "cell=markov", "likelihood=logistic_mixture"),
    ("digits-vdvae", "cell=plain", "context=pooled", "context.everywhere=false"),
    ("kuzina2023-cifar10-small-vdvae", "context=wavelet", "prior=autoregressive"),
    ("kuzina2023-mnist-L4", "cell.shortcut=false", "cell.weight_norm=true"),
    (_WAVELET, "prior=coarse_to_fine", "prior.shared=true", "noise=image"),
    (
        _WAVELET,
        "prior=couplings",
        "prior.blocks=2",
        "refinement=unet",
        "noise=coefficient",
        "loss=bound",
    ),
    (_WAVELET, "encoder=transform", "noise.learnt=false", "prior=standard_normal"),
)
_CELLS = ",".join(f"{1 << level}m{1 << level - 1},{1 << level}x999" for level in range(1, 17))
_BLOCKS = ",".join(f"{1 << level}x1000,{1 << level}d2" for level in range(16, 0, -1))
HOSTILE = (
    ("digits-vdvae", "width=16384"),
    ("digits-vdvae", f"decoder=1x1000,{_CELLS}", f"encoder={_BLOCKS},1x1000"),
    ("digits-vdvae", "decoder=1x1,4m1,8m4,8x1r999", "encoder=8x999,8d2,4d4,1x1", "width=2000"),
    (_WAVELET, "prior=couplings", "prior.steps=100", "prior.blocks=100"),
    (_WAVELET, "prior=coarse_to_fine", "prior.width=65536", "prior.blocks=100"),
    ("digits-dct", "prior=autoregressive", "prior.hidden=65536"),
    ("digits-dct", "prior=diffusion", "unet_width=65536", "prior.length=10000"),
    ("kiruluta2025-cifar10-32-vae", "latent=65536", "model.width=65536"),
)


def changed(name: str, *assignments: str) -> Recipe:
    return override(recipe(name), assignments)


def test_parameters_and_layers_are_those_of_the_model_that_is_built() -> None:
    for known in ALL:
        assert size_of(known.model).parameters == known.parameters, known.name
    for name, *changes in (*VARIANTS, ("kodak-context",)):
        with torch.device("meta"):
            made = changed(name, *changes)
            model = build(made)
        layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear | MaskedLinear)]
        size = size_of(made.model)
        assert size.parameters == sum(p.numel() for p in model.parameters()), changes
        assert size.layers == len(layers), changes


@pytest.mark.slow
def test_multiply_adds_are_half_the_counted_flops_and_follow_the_visits() -> None:
    for name, *changes in (*VARIANTS[:3], *VARIANTS[4:7], ("falck2022-mnist-r5",)):
        made = changed(name, *changes)
        flops = describe(made).flops_per_image
        # Wavelets of contexts are matrix products, and not counted.
        assert 1 <= flops / (2 * size_of(made.model).operations) < 1.02, changes
    once, thrice = (size_of(recipe("falck2022-mnist-r3").model, repeat) for repeat in (1, 3))
    assert thrice == size_of(recipe("falck2022-mnist-r3").model)
    assert (once.parameters, once.layers) == (thrice.parameters, thrice.layers)
    assert once.operations < thrice.operations < 3 * once.operations


def test_a_model_that_is_too_large_is_refused_at_once_and_not_built(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def built(*_: object, **__: object) -> None:
        pytest.fail("a layer is built")

    monkeypatch.setattr(nn.Conv2d, "__init__", built)
    monkeypatch.setattr(nn.Linear, "__init__", built)
    for name, *changes in HOSTILE:
        made, began = changed(name, *changes), time.process_time()
        with pytest.raises(ValueError, match=r"more than .* --yes-large"):
            build(made)
        assert time.process_time() - began < 1.0, changes


def test_each_number_has_its_limit_and_published_models_are_far_below() -> None:
    for field, most in vars(LARGEST).items():
        check_size(Size(**{field: most}))
        with pytest.raises(ValueError, match=f"{most + 1:,}"):
            check_size(Size(**{field: most + 1}))
        assert all(7 * getattr(size_of(known.model), field) <= most for known in ALL), field


def test_a_large_model_is_built_where_it_is_asked_for() -> None:
    made = changed("digits-vdvae", "width=4096")
    with torch.device("meta"):
        model = build(made, large=True)
    assert sum(p.numel() for p in model.parameters()) == size_of(made.model).parameters > 10**9


def hostile_run(folder: Path, made: Recipe, weights: dict[str, torch.Tensor]) -> Path:
    folder.mkdir()
    (folder / "recipe.json").write_text(json.dumps({"recipe": to_json(made)}))
    save_weights(folder / "weights.safetensors", weights)
    return folder


def test_a_run_can_ask_for_no_more_than_its_weights_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = mrvae.build(recipe("digits-vdvae"))
    cells = changed("digits-vdvae", "decoder=1x1,4m1,4x2,8m4,8x999")
    monkeypatch.setattr("mrvae.models.build.weights.build", None)
    for index, made in enumerate((cells, changed("digits-vdvae", "width=512"))):
        run = hostile_run(tmp_path / str(index), made, own.state_dict())
        with pytest.raises(ValueError, match="belongs to another model"):
            load(run)


def test_a_pass_beyond_the_limits_needs_large(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    deep = changed("digits-vdvae", "width=8", "decoder=1r999,4m1,4r999,8m4,8r999")
    run = hostile_run(tmp_path / "run", deep, build(deep, large=True).state_dict())
    assert main(["evaluate", str(run), "--limit", "1"]) == 2
    assert "applications of layers for one image, more than 30,000" in capsys.readouterr().err
    assert load(run, large=True).stochastic_depth == 2999


def test_describe_refuses_and_obeys(capsys: pytest.CaptureFixture[str]) -> None:
    command = ["describe", "digits-vdvae", "width=4096", "latent=1"]
    assert main(command) == 2
    assert "ask for it with --yes-large" in capsys.readouterr().err
    assert main([*command, "--yes-large"]) == 0
    count = size_of(changed("digits-vdvae", "width=4096", "latent=1").model).parameters
    assert f"parameters         {count:,}" in capsys.readouterr().out
