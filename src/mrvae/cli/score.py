"""``mrvae score``."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mrvae.cli.checks import (
    check_at_most,
    check_output,
    check_picture,
    check_positive,
    check_seed,
)
from mrvae.cli.coding_bar import progress_bar
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Option
from mrvae.cli.forecast import forecast
from mrvae.cli.inputs import CutLarger, Fit, InputOptions, Paths
from mrvae.cli.notes import note
from mrvae.cli.options import Best, DataDir, Device, Json, Quiet, RunPath, Seed, Split
from mrvae.cli.pictures import draw_picture
from mrvae.cli.tables import table
from mrvae.files import atomic

if TYPE_CHECKING:
    from mrvae.cli.runs import Run
    from mrvae.data import Inputs
    from mrvae.evaluation import Detection, ScoreReport

_MOST_SAMPLES = 100_000
_MOST_RESAMPLES = 100_000
_HELD_OUT = 256
_SHOWN = 12
_LONGEST = 30


@dataclass(frozen=True)
class Score:
    """Score how unusual images are to a trained model.

    For each image -ELBO and the importance-weighted bound of K draws, in nats, lower is likelier;
    the KL of every latent; the likelihood ratios LLR>k of two bounds, of which the second takes the
    k finest latents from the prior, higher is more unusual; and the typicality, the distance of
    -ELBO to that of held-out images. With --against a second set, how well each score separates the
    two: AUROC, AUPRC and the false positive rate at 80 % true positives, with bootstrap intervals
    of 95 %; the second set is the positive class.
    """

    run_path: RunPath
    paths: Paths = ()
    against: Annotated[str | None, Option("unusual images, read as PATH", metavar="PATH")] = None
    importance_samples: Annotated[int, Option("draws K of every bound")] = 16
    limit: Annotated[
        int | None, Option("number of images of each set, from the first; by default all")
    ] = None
    typical: Annotated[
        float | None,
        Option(
            "mean -ELBO in nats of held-out images, for the typicality; by default measured on "
            f"the first {_HELD_OUT} validation images of the run",
            metavar="NATS",
        ),
    ] = None
    resamples: Annotated[int, Option("resamples of the bootstrap")] = 1000
    fit: Fit = False
    cut: CutLarger = False
    seed: Seed = 0
    split: Split = "test"
    data_dir: DataDir = None
    csv: Annotated[Path | None, Option("table to write, one line per image")] = None
    out: Annotated[Path | None, Option("picture to write")] = None
    best: Best = False
    device: Device = None
    quiet: Quiet = False
    json: Json = False

    def run(self) -> Answer:
        """Score, and write what is to be written."""
        self._check()
        from mrvae.cli.runs import open_run

        run = open_run(self.run_path, self.best, device=self.device)
        sets = {"images": self._inputs(self.paths).read(run)}
        if self.against is not None:
            sets["against"] = self._inputs((self.against,)).read(run)
        typical = self._typical(run)
        reports = {name: self._measure(run, inputs, typical, name) for name, inputs in sets.items()}
        found = self._compare(reports)
        problems = self._write(sets, reports, found)
        values: dict[str, object] = {
            "run": str(self.run_path),
            "paths": list(self.paths),
            "split": self.split,
            "seed": self.seed,
            **{name: report.summary() for name, report in reports.items()},
            "each": [line for n in sets for line in lines(n, sets[n], reports[n])],
            "against_path": self.against,
            "detection": {score: asdict(rates) for score, rates in found.items()} or None,
            "out": None if problems or self.out is None else str(self.out),
        }
        text = _text(sets, reports, found)
        return Answer(values, text, problems, code=1 if problems else 0)

    def _check(self) -> None:
        """Refuse what cannot be measured, before anything is read."""
        check_positive(
            importance_samples=self.importance_samples,
            limit=self.limit,
            resamples=self.resamples,
        )
        check_at_most(_MOST_SAMPLES, importance_samples=self.importance_samples)
        check_at_most(_MOST_RESAMPLES, resamples=self.resamples)
        check_seed(self.seed)
        if self.typical is not None and not math.isfinite(self.typical):
            raise ValueError(f"--typical is {self.typical}; give a mean -ELBO in nats")
        if self.csv is not None:
            check_output(self.csv, option="--csv")
        if self.out is not None:
            check_picture(self.out)
        paths = self.paths if self.against is None else (*self.paths, self.against)
        self._inputs(paths).check(self.csv, self.out)

    def _inputs(self, paths: tuple[str, ...]) -> InputOptions:
        return InputOptions(paths, self.split, self.data_dir, self.limit, self.fit, self.cut)

    def _typical(self, run: Run) -> float | None:
        """Return the mean -ELBO of held-out images; None where there are none to measure."""
        if self.typical is not None:
            return self.typical
        from mrvae.evaluation import evaluate

        try:
            images = run.images("validation", self.data_dir, _HELD_OUT)
        except ValueError as error:
            note(f"no typicality, for the validation images of the run cannot be read: {error}")
            return None
        return float(evaluate(run.model, images, samples=1, seed=self.seed).nats.mean())

    def _measure(self, run: Run, inputs: Inputs, typical: float | None, name: str) -> ScoreReport:
        """Score one set."""
        from mrvae.evaluation import descents, score

        images, samples = inputs.images, self.importance_samples
        total = descents(run.model, len(images), samples)
        if not self.quiet:
            forecast(run.model, images, total / len(images))
        with progress_bar(f"score {name}", total, "descents", self.quiet) as advance:
            return score(
                run.model,
                images,
                samples=samples,
                seed=self.seed,
                typical_nats=typical,
                progress=advance,
            )

    def _compare(self, reports: Mapping[str, ScoreReport]) -> dict[str, Detection]:
        """Return how well every score separates the two sets; nothing for one set."""
        if len(reports) < 2:
            return {}
        from mrvae.evaluation import detect

        usual, unusual = (
            {name: values.numpy() for name, values in report.scores().items()}
            for report in reports.values()
        )
        return detect(usual, unusual, resamples=self.resamples, seed=self.seed)

    def _write(
        self,
        sets: Mapping[str, Inputs],
        reports: Mapping[str, ScoreReport],
        found: Mapping[str, Detection],
    ) -> tuple[str, ...]:
        """Write the table and the picture, and return what could not be."""
        if self.csv is not None:
            write_table(self.csv, [line for n in sets for line in lines(n, sets[n], reports[n])])
        out = self.out
        if out is None:
            return ()
        from mrvae.reports.figures import write_figure
        from mrvae.reports.score_figure import score_figure

        values = {
            self._name(set_): {s: v.tolist() for s, v in report.scores().items()}
            for set_, report in reports.items()
        }
        curve = [
            (rates.auroc.value, rates.auroc.low, rates.auroc.high)
            for name, rates in found.items()
            if name.startswith("llr_")
        ]
        level = found["nats"].auroc.value if found else None
        return draw_picture(out, lambda: write_figure(out, score_figure(values, curve, level)))

    def _name(self, set_: str) -> str:
        """Return what a set is called in the picture."""
        if set_ == "against" and self.against is not None:
            return f"against: {Path(self.against).name[:_LONGEST]}"
        title = Path(self.paths[0]).name if len(self.paths) == 1 else self._inputs(()).title
        return f"images: {title[:_LONGEST]}"


def lines(set_: str, inputs: Inputs, report: ScoreReport) -> list[dict[str, object]]:
    """Return all numbers of each image of a set, by name."""
    from mrvae.models import bits_per_dim

    columns = {name: values.tolist() for name, values in report.scores().items()}
    return [
        {
            "set": set_,
            "name": name,
            **{score: values[index] for score, values in columns.items()},
            "bits_per_dim": bits_per_dim(columns["nats"][index], report.dims),
            "importance_bits_per_dim": bits_per_dim(columns["importance_nats"][index], report.dims),
            **{f"kl_{layer}": kl for layer, kl in enumerate(report.kl[index].tolist(), start=1)},
        }
        for index, name in enumerate(inputs.names)
    ]


def write_table(path: Path, rows: Sequence[Mapping[str, object]]) -> None:
    """Write one line of comma-separated values per image, atomically."""
    with atomic(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _text(
    sets: Mapping[str, Inputs],
    reports: Mapping[str, ScoreReport],
    found: Mapping[str, Detection],
) -> str:
    """Write the means of every set, the most unusual images, and how well the sets separate."""
    parts = [_means(reports)]
    if found:
        head = ["score", "AUROC", "AUPRC", "FPR at 80 % TPR"]
        rows = [[title(name), *_rates(rates)] for name, rates in found.items()]
        parts.append(table([head, *rows]))
    elif len(sets["images"].names) > 1:
        parts.append(_most_unusual(sets["images"], reports["images"]))
    return "\n\n".join(parts)


def _means(reports: Mapping[str, ScoreReport]) -> str:
    """Write the mean of every score of each set, with its standard error."""
    counts = [f"{len(report.nats)} {name}" for name, report in reports.items()]
    summaries = [report.summary() for report in reports.values()]
    rows = [
        [title(name), *(_mean(summary, name) for summary in summaries)]
        for name in next(iter(reports.values())).scores()
    ]
    return table([["nats per image", *counts], *rows])


def _mean(summary: Mapping[str, object], name: str) -> str:
    error = summary[f"{name}_se"]
    return f"{summary[name]:.2f}" + (f" ± {error:.2f}" if isinstance(error, float) else "")


def _most_unusual(inputs: Inputs, report: ScoreReport) -> str:
    """Write the images with the largest likelihood ratio of half of the latents, or -ELBO."""
    scores = report.scores()
    half = report.likelihood_ratios.shape[1] // 2
    by = f"llr_{half}" if half else "nats"
    order = scores[by].argsort(descending=True)[:_SHOWN].tolist()
    shown = list(dict.fromkeys(["nats", "importance_nats", by]))
    rows = [
        [*(f"{scores[name][index]:.2f}" for name in shown), inputs.names[index]] for index in order
    ]
    head = [*(title(name) for name in shown), f"most unusual by {title(by)}"]
    return table([head, *rows])


def _rates(rates: Detection) -> list[str]:
    return [
        f"{rate.value:.3f} ({rate.low:.3f}–{rate.high:.3f})"
        for rate in (rates.auroc, rates.auprc, rates.fpr80)
    ]


def title(score: str) -> str:
    """Return what a score is called in a table.

    Example:
        >>> title("llr_3"), title("nats")
        ('LLR>3', '−ELBO')
    """
    names = {"nats": "−ELBO", "importance_nats": "importance-weighted"}
    return names.get(score, score.replace("llr_", "LLR>"))
