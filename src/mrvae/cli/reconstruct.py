"""``mrvae reconstruct``."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from mrvae.cli.checks import check_new_folder, check_picture, check_positive
from mrvae.cli.coding_bar import counted, progress_bar
from mrvae.cli.command import Answer
from mrvae.cli.declaration import Option
from mrvae.cli.inputs import CutLarger, Fit, InputOptions, Paths
from mrvae.cli.options import Best, DataDir, Device, Each, Json, Picture, Quiet, RunPath, Split

if TYPE_CHECKING:
    from torch import Tensor

    from mrvae.cli.runs import Run
    from mrvae.models import HVAE

_COLUMNS = 8


@dataclass(frozen=True)
class Reconstruct:
    """Write images or signals above what a model keeps of them.

    With --keep M only the top M latents are taken from the image, coarse to fine, and the others
    from the prior: the reconstruction shows what the coarse latents hold. With --each DIR both are
    written there, too: as PNG files, signals as WAV files.
    """

    run_path: RunPath
    paths: Paths = ()
    keep: Annotated[
        int | None, Option("number of top latents taken from the image; by default all")
    ] = None
    n: Annotated[int, Option("number of images")] = 32
    split: Split = "test"
    data_dir: DataDir = None
    fit: Fit = False
    cut: CutLarger = False
    each: Each = None
    tile: Annotated[
        bool,
        Option(
            "reconstruct one larger picture at its own size, by tiles that overlap by half and are "
            "blended"
        ),
    ] = False
    out: Picture = Path("reconstructions.png")
    quiet: Quiet = False
    best: Best = False
    device: Device = None
    json: Json = False

    def run(self) -> Answer:
        """Reconstruct, and write the picture."""
        check_positive(keep=self.keep, n=self.n)
        check_picture(self.out)
        inputs = InputOptions(self.paths, self.split, self.data_dir, self.n, self.fit, self.cut)
        inputs.check(self.out)
        if self.each is not None:
            check_new_folder(self.each, "--each")
        if self.tile:
            return self._tiled()
        import torch

        from mrvae.cli.runs import check_grid, open_run

        run = open_run(self.run_path, self.best, device=self.device)
        keep = run.model.check_keep(self.keep)
        images = inputs.read(run).images
        check_grid(2 * len(images), run)
        x = images.tensor()
        with (
            torch.inference_mode(),
            progress_bar("reconstruct", len(x), "images", self.quiet) as advance,
        ):
            means = (_means(run.model, part.to(run.device), keep) for part in torch.split(x, 64))
            parts = list(counted(means, advance))
        y = torch.cat(parts)
        files = self._each(run, x, y)
        columns = _COLUMNS if run.signal is None else _COLUMNS // 2
        run.show(self.out, interleave(x, y, columns), columns)
        values = {
            "run": str(self.run_path),
            "paths": list(self.paths),
            "split": self.split,
            "images": len(x),
            "keep": keep,
            "out": str(self.out),
            "files": [str(path) for path in files],
        }
        text = f"wrote {len(x)} images, each above what {keep} latents keep of it, to {self.out}"
        return Answer(values, text)

    def _each(self, run: Run, x: Tensor, y: Tensor) -> tuple[Path, ...]:
        """Write every image and its reconstruction as files, if they are asked for."""
        if self.each is None:
            return ()
        import torch

        names = [f"{i:04}-{kind}" for i in range(len(x)) for kind in ("image", "reconstruction")]
        return run.write_each(self.each, names, [torch.stack([x, y], dim=1).flatten(0, 1)])

    def _tiled(self) -> Answer:
        """Reconstruct one picture of any size, and write it alone."""
        if len(self.paths) != 1 or self.fit or self.cut:
            raise ValueError("--tile takes one picture as PATH, without --fit and --cut")
        import torch

        from mrvae.cli.runs import open_run, write_single
        from mrvae.data import read_whole
        from mrvae.data.patches import blend_tiles, cut_tiles

        run = open_run(self.run_path, self.best, device=self.device)
        keep = run.model.check_keep(self.keep)
        picture = read_whole(run.recipe, self.paths[0], self.data_dir)
        side = run.model.frame.size
        if not isinstance(side, int):
            raise ValueError("--tile takes a model of square images; use --cut")
        stride = max(side // 2, 1)
        tiles = cut_tiles(picture, side, stride)
        with (
            torch.inference_mode(),
            progress_bar("reconstruct", len(tiles), "tiles", self.quiet) as advance,
        ):
            means = (_means(run.model, x.to(run.device), keep) for x in torch.split(tiles, 64))
            parts = torch.cat(list(counted(means, advance)))
        height, width = picture.shape[1:]
        write_single(self.out, blend_tiles(parts, height, width, stride), run.levels)
        values = {
            "run": str(self.run_path),
            "paths": list(self.paths),
            "tiles": len(tiles),
            "keep": keep,
            "out": str(self.out),
        }
        text = f"wrote {height}×{width} pixels of {len(tiles)} tiles, from {keep} latents of each,"
        return Answer(values, f"{text} to {self.out}")


def _means(model: HVAE, x: Tensor, keep: int) -> Tensor:
    """Return the mean levels that the top ``keep`` latents of x give, the prior's means below."""
    return model.likelihood(model.encode(x)[:keep]).mean().cpu()


def interleave(x: Tensor, y: Tensor, columns: int = _COLUMNS) -> Tensor:
    """Return rows of ``columns`` images: of x, of y below, of x again; the last may be shorter.

    Example:
        >>> import torch
        >>> interleave(torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6]), columns=2).tolist()
        [1, 2, 4, 5, 3, 0, 6, 0]

    """
    import torch

    black = x.new_zeros((-len(x) % columns, *x.shape[1:]))
    rows = [torch.cat([images, black]).reshape(-1, columns, *x.shape[1:]) for images in (x, y)]
    return torch.stack(rows, dim=1).flatten(0, 2)
