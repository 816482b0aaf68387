from __future__ import annotations

import json
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from cli_tools import STEPS, TINY, Capture, ask, lively, refuse, trained
from PIL import Image

import mrvae.training
from helpers.members import for_all
from mrvae.cli import main
from mrvae.cli.reconstruct import interleave
from mrvae.cli.runs import open_run
from mrvae.data import load, normal
from mrvae.evaluation import latent_units, unit_report
from mrvae.models.build.weights import save_weights
from mrvae.models.hierarchy.walk import from_posterior
from mrvae.recipes import ALL
from mrvae.recipes.wavelet import WaveletVAE
from mrvae.reports.image_grid import ImageGrid, grey
from mrvae.training import Diverged, Interrupted

SIDE = 8


def _read_back(path: Path, count: int, columns: int) -> np.ndarray:
    """Return the 8×8 images of a grid that the command line wrote, as grey values."""
    picture = np.asarray(Image.open(path).convert("L"))
    grid = ImageGrid(count, columns, SIDE, SIDE, enlarge=8)
    assert picture.shape == grid.shape
    corners = [grid.corner(index) for index in range(count)]
    return np.stack([picture[y : y + 64 : 8, x : x + 64 : 8] for y, x in corners])


def _contents(run: Path) -> dict[str, bytes]:
    return {str(p.relative_to(run)): p.read_bytes() for p in run.rglob("*") if p.is_file()}


# ------------------------------------------------------------------------------------- recipes


def test_recipes_lists_every_recipe(capsys: Capture) -> None:
    listed = ask(capsys, "recipes")["recipes"]
    assert [(r["recipe"], r["parameters"]) for r in listed] == [(r.name, r.parameters) for r in ALL]
    assert main(["recipes"]) == 0
    text = capsys.readouterr().out
    assert all(r.name in text and f"{r.parameters:,}" in text for r in ALL)


# ------------------------------------------------------------------------------------ describe


# One of each kind of model; tests/evaluation describes every recipe.
DESCRIBED = ["digits-vdvae", "falck2022-mnist-r2", "digits-dct", "kuzina2023-mnist-wavelet"]
DESCRIBED += ["cifar10-context", "kiruluta2025-cifar10-32-vae", "digits-wavelet"]


@for_all("name", DESCRIBED)
def test_describe_counts_what_the_recipe_stores(capsys: Capture, name: str) -> None:
    known, values = mrvae.recipe(name), ask(capsys, "describe", name)
    assert values["recipe"] == name
    assert values["parameters"] == known.parameters
    assert values["stochastic_depth"] == known.depth
    assert sum(level["layers"] for level in values["levels"]) == known.depth
    levels = values["levels"]
    # A context has the first line, and its own size.
    below = [level["size"] for level in levels if level["width"]]
    assert below == sorted(below)
    for index, level in enumerate(levels):
        # Details stand at half the size of the state that they lead to.
        halved = index > 0 and isinstance(known.model, WaveletVAE)
        side = level["size"] // 2 if halved else level["size"]
        assert level["latents"] == level["layers"] * level["latent"] * side**2
    assert sum(level["latents"] for level in levels) == values["latents"]


def test_flops_are_those_of_the_published_code(capsys: Capture) -> None:
    # The reference's step takes 3.79 GFLOP for 32 images, forward and backward: about 3 forwards.
    flops = ask(capsys, "describe", "falck2022-mnist-x1")["flops_per_image"]
    assert 32 * 3 * flops == pytest.approx(3.79e9, rel=0.05)


def test_flops_grow_with_the_width_squared(capsys: Capture) -> None:
    narrow, wide = (
        ask(capsys, "describe", "cifar10-vdvae-small", f"width={w}")["flops_per_image"]
        for w in (256, 512)
    )
    assert 3.5 < wide / narrow < 4


# --------------------------------------------------------------------------------------- train


def test_training_leaves_a_whole_run_directory() -> None:
    names = set(_contents(trained()))
    assert {"recipe.json", "weights.safetensors", "metrics.jsonl"} <= names
    assert {"loss.png", "samples.png"} <= names
    assert not [name for name in names if Path(name).name.startswith(".")]


def test_a_finished_run_is_left_as_it_is(capsys: Capture) -> None:
    before = _contents(trained())
    stamps = {p: p.stat().st_mtime_ns for p in trained().glob("*.png")}
    arguments = ["train", "digits-vdvae", *TINY, "--steps", STEPS, "--out", trained()]
    values = ask(capsys, *arguments, "--resume")
    assert (values["run"], values["steps"]) == (str(trained()), STEPS)
    assert values["nats"] > 0
    assert _contents(trained()) == before
    assert {p: p.stat().st_mtime_ns for p in trained().glob("*.png")} == stamps


@for_all(
    ("arguments", "message"),
    [
        (["--steps", STEPS], "holds a run already; continue with --resume"),
        (["--steps", STEPS, "--resume", "--seed", 1], "started with seed 0, not 1"),
        (["--steps", STEPS - 1, "--resume"], f"started with {STEPS} steps"),
        (["--steps", STEPS, "--resume", "rate=1"], "started with another recipe"),
    ],
)
def test_a_run_is_not_trained_over(capsys: Capture, arguments: list[object], message: str) -> None:
    before = _contents(trained())
    line = refuse(capsys, "train", "digits-vdvae", *TINY, "--out", trained(), *arguments)
    assert message in line
    assert _contents(trained()) == before


@for_all(
    ("arguments", "message"),
    [
        (["digit-vdvae"], "did you mean digits-vdvae"),
        (["digits-vdvae", "stpes=3"], "did you mean steps"),
        (["digits-vdvae", "steps=many"], "training.steps: found 'many', expected a whole number"),
        (["digits-vdvae", "width=-3"], "width is (-3,)"),
        (["digits-vdvae", "encoder=8x2,8q2"], "cannot read '8q2'"),
        (["digits-vdvae", "--steps", 0], "--steps is 0"),
        (["digits-vdvae", "--seed", -1], "--seed is -1"),
        (["digits-vdvae", "data=nowhere.npz"], "nowhere.npz"),
        (["digits-vdvae", "channels=3"], "(3, 8, 8)"),
        (["mnist-vdvae", "--data-dir", "nowhere"], "nowhere"),
    ],
)
def test_a_mistake_leaves_no_run_behind(
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[object],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refuse(capsys, "train", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_run_goes_by_default_to_a_folder_of_its_name(
    capsys: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    values = ask(capsys, "train", "digits-vdvae", *TINY, "--steps", 1, "--quiet")
    assert values["run"] == "runs/digits-vdvae"
    assert (tmp_path / "runs/digits-vdvae/weights.safetensors").is_file()


@for_all(
    ("end", "code"),
    [(Interrupted("stopped after step 3", 2), 130), (Diverged("lower the rate"), 1)],
)
def test_a_run_that_stops_ends_with_one_line(
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    end: Exception,
    code: int,
) -> None:
    def stop(*arguments: object, **options: object) -> None:
        raise end

    monkeypatch.setattr(mrvae.training, "train", stop)
    assert main(["train", "digits-vdvae", "--out", str(tmp_path / "run")]) == code
    assert capsys.readouterr() == ("", f"mrvae: {end}\n")


# -------------------------------------------------------------------------------------- sample


def test_the_picture_holds_the_models_samples(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "s.png"
    ask(capsys, "sample", trained(), "--n", 5, "--temperature", 0.7, "--seed", 3, "--out", out)
    generator = torch.Generator().manual_seed(3)
    with torch.inference_mode():
        expected = mrvae.load(trained()).sample(5, 0.7, generator)
    assert np.array_equal(_read_back(out, 5, 3), grey(expected[:, 0].numpy(), 17))


def test_a_seed_fixes_the_samples(capsys: Capture, tmp_path: Path) -> None:
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        ask(
            capsys, "sample", trained(), "--seed", seed, "--n", 4, "--out", tmp_path / f"{name}.png"
        )
    first, again, other = (tmp_path / f"{name}.png" for name in "abc")
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()


def test_one_temperature_for_all_is_the_same_as_one_for_each(
    capsys: Capture, tmp_path: Path
) -> None:
    for name, temperature in (("a", "0.5"), ("b", "0.5,0.5")):
        out = tmp_path / f"{name}.png"
        ask(capsys, "sample", trained(), "--temperature", temperature, "--out", out)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_means_at_temperature_zero_are_all_alike(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "s.png"
    ask(capsys, "sample", trained(), "--mean", "--temperature", 0, "--n", 4, "--out", out)
    images = _read_back(out, 4, 2)
    assert (images == images[0]).all()


def test_more_samples_than_one_chunk(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "s.png"
    ask(capsys, "sample", trained(), "--n", 70, "--out", out)
    assert len({image.tobytes() for image in _read_back(out, 70, 9)}) == 70


# --------------------------------------------------------------------------------- reconstruct


@for_all("keep", [None, 1])
def test_each_image_stands_above_its_reconstruction(
    capsys: Capture, tmp_path: Path, keep: int | None
) -> None:
    out = tmp_path / "r.png"
    more = [] if keep is None else ["--keep", keep]
    values = ask(capsys, "reconstruct", lively(), "--n", 10, "--out", out, *more)
    model = mrvae.load(lively())
    assert values["keep"] == (model.stochastic_depth if keep is None else keep)
    x = load("digits", "test").take(torch.arange(10))
    with torch.no_grad():
        means, everything = (
            grey(model.likelihood(model.encode(x)[:top]).mean()[:, 0].numpy(), 17).astype(int)
            for top in (values["keep"], None)
        )
    rows = _read_back(out, 32, 8).reshape(2, 2, 8, SIDE, SIDE)
    seen, kept = rows[:, 0].reshape(16, SIDE, SIDE), rows[:, 1].reshape(16, SIDE, SIDE)
    assert np.array_equal(seen[:10], grey(x[:, 0].numpy(), 17))
    assert np.abs(kept[:10] - means).max() <= 1
    assert (np.abs(kept[:10] - everything).max() > 3) == (keep is not None)
    assert not seen[10:].any()
    assert not kept[10:].any()


@for_all("count", [1, 3, 4, 9])
@for_all("columns", [1, 4])
def test_rows_alternate_between_the_two(count: int, columns: int) -> None:
    x = torch.arange(1, count + 1)
    rows = interleave(x, -x, columns).reshape(-1, 2, columns)
    assert torch.equal(rows[:, 0], -rows[:, 1])
    assert torch.equal(rows[:, 0].flatten()[:count], x)


# ------------------------------------------------------------------------------------- inspect


def test_inspect_measures_the_models_kl(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "latents.png"
    values = ask(capsys, "inspect", trained(), "latents", "--limit", 100, "--out", out)
    assert values["sizes"] == [4, 8, 8]
    model, x = mrvae.load(trained()), load("digits", "test").take(torch.arange(100))
    with torch.inference_mode():
        draws = torch.stack([model.elbo(x).kl.mean(dim=0) for _ in range(20)])
    spread = draws.std(dim=0).clamp(min=1e-6)
    assert ((torch.tensor(values["kl"]) - draws.mean(dim=0)).abs() < 6 * spread).all()
    assert np.asarray(Image.open(out)).ndim == 3


def test_inspect_counts_the_units_of_the_evaluation(capsys: Capture, tmp_path: Path) -> None:
    out, few = tmp_path / "latents.png", ["--limit", 30, "--draws", 3, "--seed", 5]
    values = ask(capsys, "inspect", lively(), "latents", *few, "--out", out)
    model, images = mrvae.load(lively()), load("digits", "test").subset(torch.arange(30))
    report = unit_report(model, images, draws=3, seed=5)
    assert values["active"] == [layer.active for layer in report.layers]
    assert values["units"] == [math.prod(shape) for shape in model.shapes]
    assert values["active_units"] == sum(values["active"]) > 0
    assert values["active_at_means"] == list(latent_units(model, images).active)
    assert values["nats"] == pytest.approx(sum(values["kl"]))
    assert values["without_context"]["latent_units"] == values["latent_units"]
    cdf = values["kl_per_unit_cdf"]
    # Sums over batches of other sizes are rounded otherwise.
    assert cdf["nats"] == pytest.approx(report.quantiles(cdf["level"]), rel=1e-5)
    assert main(["inspect", str(lively()), "latents", *map(str, few), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert f"{values['active_units']} of {values['latent_units']} units are active" in said
    rows = [line.split()[0] for line in said.splitlines()[1 : 2 + len(values["units"])]]
    assert [row for row in rows if row.isdigit()] == ["1", "2", "3"]
    assert "at means: counted\nwith the latents above at their means" in said


def test_inspect_compares_images_with_what_their_latents_keep(
    capsys: Capture, tmp_path: Path
) -> None:
    out = tmp_path / "partial.png"
    few = ["--limit", 20, "--temperature", 0, "--means"]
    values = ask(capsys, "inspect", lively(), "partial", *few, "--out", out)
    model, x = mrvae.load(lively()), load("digits", "test").take(torch.arange(20))
    with torch.inference_mode():
        means = [model.likelihood(model.encode(x)[:m]).mean() / 16 for m in (1, 2, 3)]
    errors = [(y - x / 16).square().mean(dim=(1, 2, 3)) for y in means]
    expected = [float((-10 * error.log10()).mean()) for error in errors]
    assert values["keep"] == [1, 2, 3]
    assert values["psnr"]["mean"] == pytest.approx(expected, rel=1e-5)
    assert np.asarray(Image.open(out)).ndim == 3


def test_inspect_measures_the_norms_of_the_last_state(capsys: Capture, tmp_path: Path) -> None:
    """The decoder's last state is what the likelihood is made of, so its norm can be had anew."""
    out = tmp_path / "norms.png"
    few = ["--limit", 50, "--seed", 2]
    values = ask(capsys, "inspect", trained(), "norms", *few, "--out", out)
    assert values["encoder"]["sizes"] == [8, 8, 4]
    assert values["decoder"]["sizes"] == [4, 8, 8]
    model, x = mrvae.load(trained()), load("digits", "test").take(torch.arange(50))
    noise = normal(2, 0, range(50), model.latent_noise_size, x.device, torch.float32)
    with torch.inference_mode():
        trace = model.trace(model.observe(x), from_posterior(), noise)
    norms = trace.state.flatten(1).norm(dim=1)
    assert values["decoder"]["means"][-1] == pytest.approx(float(norms.mean()), rel=1e-5)
    assert values["decoder"]["deviations"][-1] == pytest.approx(float(norms.std()), rel=1e-3)
    assert np.asarray(Image.open(out)).ndim == 3


def test_a_model_that_computes_no_finite_numbers_is_named(capsys: Capture, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained(), run)
    weights = mrvae.load(run).state_dict()
    commands = ("evaluate", "inspect latents", "inspect partial", "inspect norms")
    for size in (1e4, 3e38):
        wild = {name: torch.full_like(tensor, size) for name, tensor in weights.items()}
        save_weights(run / "weights.safetensors", wild)
        for command in commands:
            name, *rest = command.split()
            out = ["--out", tmp_path / "x.png"] if rest else ["--quiet"]
            line = refuse(capsys, name, run, *rest, "--limit", 3, *out)
            assert "the model computes no finite numbers; its weights are damaged" in line, command
    assert not (tmp_path / "x.png").exists()


# -------------------------------------------------------------------------------- any of these

PICTURES = [["sample"], ["reconstruct"], ["inspect", "latents"]]


def _on(command: list[str], run: Path) -> list[object]:
    return [command[0], run, *command[1:]]


@for_all("command", PICTURES)
def test_a_run_that_is_none_is_refused(capsys: Capture, tmp_path: Path, command: list[str]) -> None:
    out = ["--out", tmp_path / "x.png"]
    assert "no run directory" in refuse(capsys, *_on(command, tmp_path / "nowhere"), *out)
    broken = tmp_path / f"broken-{command[0]}"
    shutil.copytree(trained(), broken)
    weights = broken / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-7])
    assert "weights.safetensors" in refuse(capsys, *_on(command, broken), *out)
    weights.unlink()
    assert "weights.safetensors" in refuse(capsys, *_on(command, broken), *out)
    (broken / "recipe.json").write_text("{")
    assert "recipe.json" in refuse(capsys, *_on(command, broken), *out)
    assert not (tmp_path / "x.png").exists()


@for_all("command", PICTURES)
def test_a_picture_that_cannot_be_written_is_refused_first(
    capsys: Capture, tmp_path: Path, command: list[str]
) -> None:
    # The run does not exist either: it is the picture that is looked at first.
    asked = _on(command, tmp_path / "nowhere")
    assert "does not exist" in refuse(capsys, *asked, "--out", tmp_path / "no" / "x.png")
    assert "ends in .png" in refuse(capsys, *asked, "--out", tmp_path / "x.jpg")
    (tmp_path / "folder.png").mkdir(exist_ok=True)
    assert "is a folder" in refuse(capsys, *asked, "--out", tmp_path / "folder.png")


@for_all(
    ("arguments", "message"),
    [
        (["sample", "--n", 0], "--n is 0"),
        (["sample", "--n", -3], "--n is -3"),
        (["sample", "--temperature", -1], "--temperature is -1"),
        (["sample", "--temperature", "1,nan"], "--temperature is nan"),
        (["sample", "--temperature", "inf"], "--temperature is inf"),
        (["sample", "--temperature", "1,1,1"], "3 temperatures for 2 resolutions"),
        (["sample", "--seed", -1], "--seed is -1"),
        (["reconstruct", "--keep", 0], "--keep is 0"),
        (["reconstruct", "--keep", 4], "keep is 4; this model has 3 latents"),
        (["reconstruct", "--n", 0], "--n is 0"),
        (["inspect", "latents", "--limit", 0], "--limit is 0"),
        (["inspect", "latents", "--draws", 0], "--draws is 0"),
        (["inspect", "partial", "--temperature", "-1"], "--temperature is -1"),
        (["inspect", "partial", "--temperature", "warm"], "expected a number, found 'warm'"),
    ],
)
def test_values_out_of_range_are_refused(
    capsys: Capture, tmp_path: Path, arguments: list[str], message: str
) -> None:
    out = tmp_path / "x.png"
    assert message in refuse(capsys, arguments[0], trained(), *arguments[1:], "--out", out)
    assert not out.exists()


# ------------------------------------------------------------------------------------ evaluate


def test_evaluate_with_other_repeats_is_another_depth_and_keeps_the_record(
    capsys: Capture, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained(), run)
    one = ["--importance-samples", 1, "--quiet"]
    once = ask(capsys, "evaluate", run, *one)
    record = (run / "evaluation.json").read_bytes()
    deeper = ask(capsys, "evaluate", run, *one, "--repeat", 3)
    assert (run / "evaluation.json").read_bytes() == record
    assert (once["stochastic_depth"], deeper["stochastic_depth"]) == (3, 7)
    assert len(deeper["kl"]) == 7
    assert ask(capsys, "evaluate", run, *one, "--repeat", 1)["nats"] == once["nats"]
    assert "repeat is 0" in refuse(capsys, "evaluate", run, "--repeat", 0)


def test_evaluate_answers_with_every_key(capsys: Capture) -> None:
    values = ask(capsys, "evaluate", trained(), "--importance-samples", 3, "--quiet")
    assert (values["run"], values["split"], values["images"]) == (str(trained()), "test", 397)
    assert values["importance_samples"] == 3
    assert values["importance_nats"] < values["nats"] + 3 * values["nats_se"]
    dims = SIDE * SIDE
    for prefix in ("", "importance_"):
        bits = values[f"{prefix}nats"] / (dims * np.log(2))
        assert values[f"{prefix}bits_per_dim"] == pytest.approx(bits)
        assert values[f"{prefix}nats_se"] > 0
    assert len(values["kl"]) == 3
    assert 0 <= values["active_units"] <= values["latent_units"] == 16 + 2 * 64


def test_the_table_holds_the_images_of_the_mean(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "images.csv"
    arguments = ["--limit", 40, "--importance-samples", 2, "--split", "validation", "--csv", out]
    values = ask(capsys, "evaluate", trained(), *arguments)
    head, *lines = out.read_text().splitlines()
    assert head == "index,nats,importance_nats,bits_per_dim,kl"
    table = np.array([[float(cell) for cell in line.split(",")] for line in lines])
    assert np.array_equal(table[:, 0], np.arange(40))
    for column, key in ((1, "nats"), (2, "importance_nats"), (3, "bits_per_dim")):
        assert table[:, column].mean() == pytest.approx(values[key])
    assert table[:, 4].mean() == pytest.approx(sum(values["kl"]))
    assert table[:, 1].std(ddof=1) / np.sqrt(40) == pytest.approx(values["nats_se"])


def test_only_a_whole_test_set_is_noted_in_the_run(capsys: Capture, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained(), run)
    noted = run / "evaluation.json"
    noted.unlink(missing_ok=True)
    one = ["--importance-samples", 1, "--quiet"]
    ask(capsys, "evaluate", run, *one, "--limit", 4)
    ask(capsys, "evaluate", run, *one, "--split", "train", "--limit", 4)
    assert not noted.exists()
    values = ask(capsys, "evaluate", run, *one)
    assert json.loads(noted.read_text()) == values


def test_evaluation_prints_its_bounds_as_text(capsys: Capture) -> None:
    assert main(["evaluate", str(trained()), "--limit", "3", "--importance-samples", "2"]) == 0
    text = capsys.readouterr().out
    assert "3 images, test" in text
    assert "importance, K = 2" in text
    assert text.count("bits/dim") == 2


@for_all(
    ("arguments", "message"),
    [
        (["--importance-samples", 0], "--importance-samples is 0"),
        (["--limit", 0], "--limit is 0"),
        (["--seed", -1], "--seed is -1"),
        (["--csv", "no/such/x.csv"], "the folder no/such does not exist"),
        (["--data-dir", "nowhere"], "nowhere"),
    ],
)
def test_an_evaluation_that_cannot_be_is_refused(
    capsys: Capture,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[object],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refuse(capsys, "evaluate", trained(), *arguments, "--quiet")
    assert list(tmp_path.iterdir()) == []


def test_a_binary_recipe_sees_binary_images_of_every_split(capsys: Capture, tmp_path: Path) -> None:
    out = tmp_path / "run"
    binary = ["binary=true", "likelihood=bernoulli", "--steps", 1, "--quiet"]
    ask(capsys, "train", "digits-vdvae", *TINY, *binary, "--out", out)
    for split in ("train", "validation", "test"):
        images = open_run(out).images(split, None, 8)
        assert (len(images), images.bins) == (8, 2)
        assert set(images.take(torch.arange(8)).flatten().tolist()) == {0, 1}
    assert ask(capsys, "evaluate", out, "--split", "train", "--limit", 8)["images"] == 8
