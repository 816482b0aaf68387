"""From the values of a recipe to the cells of a hierarchy."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from mrvae.distributions import BoundedScale, RawScale, SoftplusScale
from mrvae.models.cells.base import Scale
from mrvae.models.cells.markov import MarkovCell
from mrvae.models.cells.nvae import NVAECell
from mrvae.models.cells.plain import PlainCell
from mrvae.models.cells.top_down import TopDownCell
from mrvae.models.cells.top_latent_skip import (
    TopLatentCarryCell,
    TopLatentConcatCell,
    TopLatentSkipStage,
)
from mrvae.models.cells.vdvae import VDVAECell
from mrvae.models.hierarchy.decoder import CellStage
from mrvae.models.hierarchy.encoder import middle_width
from mrvae.models.hierarchy.level import Level
from mrvae.recipes import schema
from mrvae.sizes import size_text

CellConstructor = Callable[[Level, int, int, Scale], nn.Module]
"""From the level, the inner width of its bottlenecks, the number n of cells on the whole way, and
the map from raw scales to log σ, to a cell that keeps the contract of
:class:`mrvae.models.hierarchy.walk.Cell`."""


def make_cells(
    cell: schema.Cell | CellConstructor,
    levels: Sequence[Level],
    bottleneck: float,
    scale: schema.Scale,
) -> list[list[nn.Module]]:
    """Build the cells of every level, a mixing one first where there is one."""
    mixing = [index > 0 and level.mixes for index, level in enumerate(levels)]
    applied = sum(level.visits for level in levels) + sum(mixing)
    widths, read = [level.width for level in levels], _scale(scale)
    return [
        [
            _cell(cell, level, middle_width(level, bottleneck), applied, read, outputs)
            for outputs in _outputs(level, level.cells + mixes, after)
        ]
        for level, mixes, after in zip(levels, mixing, [*widths[1:], widths[-1]], strict=True)
    ]


def _outputs(level: Level, count: int, after: int) -> list[int]:
    """Return the widths to which the cells of a level lead: the last one to that of the next."""
    return [level.width] * (count - 1) + [after] * (count > 0)


def _cell(
    cell: schema.Cell | CellConstructor,
    level: Level,
    middle: int,
    applied: int,
    scale: Scale,
    outputs: int,
) -> nn.Module:
    """Build one cell of a level; those that cannot change the state's width leave it as it is."""
    width, latent, kernel = level.width, level.latent, level.kernel
    match cell:
        case schema.VDVAE():
            return VDVAECell(width, latent, middle, kernel, applied, scale)
        case schema.NVAE():
            return NVAECell(width, latent, middle, kernel, applied, scale)
        case schema.Markov():
            return MarkovCell(width, latent, middle, kernel, scale)
        case schema.Plain():
            return PlainCell(width, latent, middle, kernel, scale)
        case schema.TopDown(shortcut, _, normed):
            if level.repeat > 1 and outputs != width:
                raise ValueError(
                    f"the last cell at {size_text(level.size)} leads from width {width} to "
                    f"{outputs}, so it cannot be repeated; give both resolutions one width, or "
                    "repeat once"
                )
            kernel = level.full_kernel
            sizes = (width, latent, middle, outputs, applied)
            return TopDownCell(*sizes, scale, shortcut, normed, kernel)
        case _:
            return cell(level, middle, applied, scale)


def with_top_latent_skip(stages: Sequence[CellStage]) -> list[nn.Module]:
    """Carry the first latent down the hierarchy and add it to the state of every further level."""
    carried = stages[0].level.latent
    result: list[nn.Module] = []
    for index, stage in enumerate(stages):
        carries_on = index < len(stages) - 1
        if carries_on:
            cells: list[nn.Module] = [TopLatentCarryCell(cell, carried) for cell in stage.cells]
            if not index:
                cells[0] = TopLatentConcatCell(stage.cells[0])
            stage.cells = nn.ModuleList(cells)
        adds = index > 0 and stage.level.drawn
        result.append(TopLatentSkipStage(stage, carried, adds=adds, carries_on=carries_on))
    return result


def _scale(scale: schema.Scale) -> Scale:
    match scale:
        case schema.RawScaleSpec():
            return RawScale()
        case schema.SoftplusScaleSpec(beta):
            return SoftplusScale(beta)
        case schema.BoundedScaleSpec(beta, lowest, highest):
            return BoundedScale(beta, lowest, highest)
