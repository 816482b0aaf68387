"""What ``mrvae report`` measures, section by section."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import mrvae
from mrvae.cli import collapse
from mrvae.recipes import recipe as known_recipe
from mrvae.recipes.overrides import assignments
from mrvae.reports.figures import (
    bars_figure,
    cdf_figure,
    curve,
    keep_figure,
    loss_figure,
    run_kl_figure,
)
from mrvae.reports.page import Page, PageImage, Section
from mrvae.reports.page_images import figure_picture, grid_picture
from mrvae.run_log import read_log
from mrvae.sizes import simplest

if TYPE_CHECKING:
    from mrvae.cli.runs import Run
    from mrvae.data import Images

_TEMPERATURES = (1.0, 0.85, 0.7)
_SAMPLES = 32
_COLUMNS = 16
_DRAWS = 8
_MEASURES = {"psnr": "PSNR in dB", "ssim": "SSIM", "ms_ssim": "MS-SSIM"}


@dataclass(frozen=True)
class ReportOptions:
    """Which images of which run are measured, and how."""

    run_path: Path
    split: str
    limit: int
    importance_samples: int
    seed: int


def made_page(run: Run, images: Images, asked: ReportOptions) -> tuple[Page, dict[str, object]]:
    """Measure a run, and return its page with the numbers of its bounds."""
    from mrvae.evaluation import describe, evaluate

    cost = describe(run.recipe, large=True)
    report = evaluate(run.model, images, samples=asked.importance_samples, seed=asked.seed)
    bounds = report.summary()
    sections = [
        _bounds(bounds, asked, float(report.kl.sum(dim=1).mean())),
        *_training(run),
        _samples(run, asked.seed),
        _reconstructions(run, images, asked.seed),
        *_latents(run, images, asked.seed),
        _repeat(run, asked),
    ]
    facts = [
        ("−ELBO, nats", _number(bounds["nats"])),
        (f"IW-{asked.importance_samples}, nats", _number(bounds["importance_nats"])),
        ("bits per dimension", f"{bounds['importance_bits_per_dim']:.4f}"),
        ("parameters", f"{cost.parameters:,}"),
        ("stochastic layers", str(cost.stochastic_depth)),
        ("latents per image", f"{cost.latents:,}"),
        ("FLOPs per image", f"{cost.flops_per_image:.3g}"),
        ("steps", f"{run.recipe.training.steps:,}"),
    ]
    torch_version = _torch_version()
    foot = f"mrvae {mrvae.__version__}, torch {torch_version}, {platform.machine()}"
    about = f"{run.recipe.about[:1].upper()}{run.recipe.about[1:]}. Data: {run.recipe.data.source}."
    return Page(run.recipe.name, about, facts, sections, foot), dict(bounds)


def _torch_version() -> str:
    import torch

    return str(torch.__version__)


def _bounds(bounds: Mapping[str, object], asked: ReportOptions, kl: float) -> Section:
    """Return the table of the two bounds."""
    name = f"importance-weighted, K = {asked.importance_samples}"
    rows = [
        ["bound", "nats", "standard error", "bits per dimension"],
        *(
            [
                label,
                _number(bounds[f"{prefix}nats"]),
                _number(bounds[f"{prefix}nats_se"]),
                f"{bounds[f'{prefix}bits_per_dim']:.4f}",
            ]
            for label, prefix in (("−ELBO, one draw", ""), (name, "importance_"))
        ),
    ]
    text = (
        f"Upper bounds of −log p(x), lower is better, over {bounds['images']} images "
        f"({asked.split}). {kl:.2f} nats of −ELBO are the KL of the latents, the rest is the "
        "reconstruction."
    )
    return Section("Likelihood", text, [rows])


def _training(run: Run) -> list[Section]:
    """Return the curves of the run's log, nothing where there is none."""
    log = read_log(run.path / "metrics.jsonl")
    if not curve(log.events, "nats")[0]:
        return []
    caption = "−ELBO over the steps of training; validation with the averaged weights."
    pictures = [figure_picture(lambda: loss_figure(log.events), caption)]
    if curve(log.events, "kl")[0]:
        caption = "KL(q‖p) of all latents over the steps of training."
        pictures.append(figure_picture(lambda: run_kl_figure(log.events), caption))
    seconds = curve(log.events, "seconds")[1]
    time = f" It took {max(seconds) / 60:.1f} minutes." if seconds else ""
    text = f"{run.recipe.training.steps:,} steps of {run.recipe.training.batch} images.{time}"
    return [Section("Training", text, pictures=pictures)]


def _samples(run: Run, seed: int) -> Section:
    """Return samples at three temperatures of the prior."""
    from mrvae.cli.runs import draw
    from mrvae.reports.image_grid import arrange

    pictures = []
    for temperature in _TEMPERATURES:
        images = draw(run, _SAMPLES, (temperature,), seed)
        pixels = arrange(images.numpy(), run.levels, _COLUMNS)
        pictures.append(grid_picture(pixels, f"Samples at temperature {temperature}."))
    text = (
        "Images drawn from the model. The temperature multiplies the standard deviations of the "
        "prior: below 1 images are likelier and less varied."
    )
    return Section("Samples", text, pictures=pictures)


def _reconstructions(run: Run, images: Images, seed: int) -> Section:
    """Return partial reconstructions and their similarity to the images."""
    from mrvae.evaluation import Partial, partial_report

    how = Partial(0.0, 0.0, seed)
    title, pixels = collapse.examples(run, images, how)
    pictures: list[PageImage] = [grid_picture(pixels, f"Each row: {title}.")]
    if run.model.stochastic_depth > 1:
        curves = partial_report(run.model, images, how).summary()
        pictures += [_similarity(name, c["mean"], c["se"]) for name, c in curves.items()]
    text = (
        "The top m latents are those of the image, at the means of the posterior; the others are "
        "at the means of the prior. Latents are counted from 1, coarse to fine."
    )
    return Section("Reconstructions", text, pictures=pictures)


def _similarity(name: str, means: list[float], errors: list[float]) -> PageImage:
    """Return the curve of one measure of similarity."""
    words = _MEASURES.get(name, name)
    caption = f"{words} of image and reconstruction by the number of latents kept; bars are ± 2 SE."
    return figure_picture(lambda: keep_figure({words: {"": (means, errors)}}, {}), caption)


def _latents(run: Run, images: Images, seed: int) -> list[Section]:
    """Return nats and active units of each latent; nothing for a model that draws none."""
    if not run.model.latent_shapes:
        return []
    from mrvae.evaluation import unit_report

    report = unit_report(run.model, images, draws=_DRAWS, seed=seed)
    kl = [layer.nats for layer in report.layers]
    sizes = [simplest(shape[1:]) for shape in report.shapes]
    rows = [["latent", "shape", "nats", "nats per unit", "active units", "units"]]
    for index, (shape, layer) in enumerate(zip(report.shapes, report.layers, strict=True), start=1):
        name = f"{index} (context)" if index <= report.contexts else str(index)
        shape_text = "×".join(map(str, shape))
        nats = [f"{layer.nats:.3f}", f"{layer.nats_per_unit:.5f}"]
        rows.append([name, shape_text, *nats, f"{layer.active:,}", f"{layer.units:,}"])
    pictures = [
        figure_picture(lambda: bars_figure(kl, sizes), "KL of each latent."),
        figure_picture(
            lambda: cdf_figure({"": report.kl.tolist()}), "Distribution of KL over single units."
        ),
    ]
    whole = report.whole
    text = (
        f"{whole.active:,} of {whole.units:,} units are active: the mean of their posterior "
        "varies over images by more than 0.01."
    )
    return [Section("Latents", text, [rows], pictures)]


def _repeat(run: Run, asked: ReportOptions) -> Section:
    """Return the commands that train the model again and measure it again."""
    name, seed = run.recipe.name, run.seed
    try:
        changes = assignments(known_recipe(name), run.recipe)
    except ValueError:
        changes = None
    text = "These commands make the run and this page again."
    if changes is None:
        text = "The whole recipe is in recipe.json of the run directory."
        train = ""
    else:
        train = " ".join(["mrvae train", name, f"--seed {seed}", *changes]) + "\n"
    report = f"mrvae report {asked.run_path} --split {asked.split} --limit {asked.limit}"
    return Section("Repeat it", text, code=f"{train}{report} --seed {asked.seed}")


def _number(value: object) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "–"
