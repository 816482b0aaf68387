"""``mrvae attack``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from mrvae.cli.checks import (
    check_at_most,
    check_picture,
    check_positive,
    check_radius,
    check_seed,
)
from mrvae.cli.coding_bar import progress_bar
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Option
from mrvae.cli.forecast import forecast
from mrvae.cli.inputs import CutLarger, Fit, InputOptions, Paths
from mrvae.cli.options import Best, DataDir, Device, Json, Picture, Quiet, RunPath, Seed, Split
from mrvae.cli.pictures import draw_picture
from mrvae.cli.tables import table

if TYPE_CHECKING:
    from torch import Tensor

    from mrvae.cli.runs import Run
    from mrvae.data import Images
    from mrvae.evaluation import Ascent, AttackReport

_SHOWN = 8
_MOST_RESTARTS = 10_000
_MOST_BYTES = 1 << 30
_GRADIENTS = {"published": 50, "pgd": 100}
# A step with a gradient takes about three forward passes.
_PASSES = 3


@dataclass(frozen=True)
class Attack:
    """Change images a little so that their top latents change as much as they can.

    Every pixel changes by at most --radius, on [0, 1], to maximise the symmetric KL between the
    posteriors of the top --latents latents. The output is the KL reached, and the similarity of the
    images and of their reconstructions from these latents: MS-SSIM, or SSIM below 28 pixels. Rows
    of the picture: images, attacked images, and the reconstructions of both.
    """

    run_path: RunPath
    paths: Paths = ()
    latents: Annotated[
        int | None, Option("number of top latents to attack, counting a context; by default all")
    ] = None
    radius: Annotated[float, Option("largest change of a pixel, on [0, 1]")] = 0.1
    images: Annotated[int, Option("number of images, from the first")] = 50
    restarts: Annotated[int, Option("attacks on each image, from different starts")] = 5
    optimizer: Annotated[
        Literal["published", "pgd"],
        Option(
            "published: 50 plain gradient steps; pgd: 100 steps, first along the gradient, "
            "then along its sign"
        ),
    ] = "pgd"
    seed: Seed = 0
    split: Split = "test"
    data_dir: DataDir = None
    fit: Fit = False
    cut: CutLarger = False
    out: Picture = Path("attack.png")
    quiet: Quiet = False
    best: Best = False
    device: Device = None
    json: Json = False

    def run(self) -> Answer:
        """Attack, and write the picture."""
        check_positive(latents=self.latents, images=self.images, restarts=self.restarts)
        check_at_most(_MOST_RESTARTS, restarts=self.restarts)
        check_radius(self.radius)
        check_seed(self.seed)
        check_picture(self.out)
        inputs = InputOptions(
            self.paths, self.split, self.data_dir, self.images, self.fit, self.cut
        )
        inputs.check(self.out)
        from mrvae.cli.runs import open_run
        from mrvae.evaluation import attack, usual

        run = open_run(self.run_path, self.best, device=self.device)
        keep = self._keep(run.model.stochastic_depth)
        images = inputs.read(run).images
        self._check_memory(run, len(images))
        forecast(run.model, images, _PASSES * _GRADIENTS[self.optimizer] * self.restarts)
        gradients = _GRADIENTS[self.optimizer] * self.restarts * len(images)
        with progress_bar("attack", gradients, "gradients", self.quiet) as advance:
            report = attack(
                run.model,
                images,
                self._ascent(),
                radius=self.radius,
                keep=keep,
                restarts=self.restarts,
                seed=self.seed,
                progress=advance,
            )
        problems = draw_picture(self.out, lambda: _write(self.out, run, images, report, keep))
        values: dict[str, object] = {
            "run": str(self.run_path),
            "paths": list(self.paths),
            "split": self.split,
            "latents": keep,
            "radius": self.radius,
            "optimizer": self.optimizer,
            "seed": self.seed,
            "measure": usual(run.model.frame.size).name,
            **report.summary(),
            "out": None if problems else str(self.out),
        }
        return Answer(values, _text(values, inputs.title, bool(run.model.context.shapes)), problems)

    def _check_memory(self, run: Run, images: int) -> None:
        """Refuse more attacked images than are held in memory until the strongest is known."""
        most = _MOST_BYTES // (4 * run.model.frame.dims)
        if images * self.restarts > most:
            raise ValueError(
                f"--restarts {self.restarts} of {images} images are {images * self.restarts:,} "
                f"attacked images; at most {most:,} of this size fit into memory"
            )

    def _ascent(self) -> Ascent:
        from mrvae.evaluation import PlainGradient, SignGradient

        match self.optimizer:
            case "published":
                return PlainGradient()
            case "pgd":
                return SignGradient()

    def _keep(self, depth: int) -> int:
        """Return how many latents are attacked, or refuse more than there are."""
        if self.latents is not None and self.latents > depth:
            raise ValueError(f"--latents is {self.latents}; this model has {depth} latents")
        return self.latents or depth


def _write(path: Path, run: Run, images: Images, report: AttackReport, keep: int) -> None:
    """Write some images, the strongest attack on each, and reconstructions of both."""
    import torch

    from mrvae.evaluation import read, reconstruction

    attacked = report.worst(report.images)[:_SHOWN]
    x = images.first(_SHOWN).tensor().to(attacked.dtype)
    rows = [x, attacked]
    with torch.no_grad():
        for row in (x, attacked):
            u = (row / (run.levels - 1)).to(run.device)
            rows.append(_shown(reconstruction(run.model, read(run.model, u, keep).latents), run))
    run.show(path, torch.cat(rows), len(x))


def _shown(pictures: Tensor, run: Run) -> Tensor:
    """Return pictures on [0, 1] in units of levels."""
    return pictures.cpu() * (run.levels - 1)


def _text(values: Mapping[str, object], title: str, context: bool) -> str:
    """Write what the attacks reached, on average and at their strongest."""
    number = {name: value for name, value in values.items() if isinstance(value, int | float)}
    kl, similarity, measure = number["symmetric_kl"], number["similarity"], values["measure"]
    rows: list[list[str]] = [
        ["", "mean of restarts", "strongest"],
        ["symmetric KL in nats", f"{kl:.3f}", f"{number['symmetric_kl_worst']:.3f}"],
        [f"{measure} of reconstructions", f"{similarity:.3f}", f"{number['similarity_worst']:.3f}"],
        [f"{measure} of images", f"{number['similarity_inputs']:.3f}", ""],
        ["largest change of a pixel", f"{number['largest_change']:.3f}", ""],
    ]
    if context:
        rows.append(["levels of the context moved", f"{number['context_moved']:.1f}", ""])
    written = "no picture" if values["out"] is None else f"wrote {values['out']}"
    return f"""\
{values["images"]} images, {title}; {values["restarts"]} attacks on each
{values["optimizer"]}, top {values["latents"]} latents, radius {values["radius"]}

{table(rows)}

{written}"""
