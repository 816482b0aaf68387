"""Keep what an item of a paper came to: the rows of ``mrvae reproduce``, with the code's commit.

    mrvae reproduce falck2022 figure5 --budget cpu
    python results/keep.py runs/reproduce/falck2022-cpu/figure5.json

writes ``results/falck2022-figure5-cpu.json``, from which ``results/fill.py`` takes the tables of
the pages. A smoke run is no result and is refused.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, cast

import tyro
from tyro.conf import Positional, arg

from record import ROOT, commit

_PARTS = ("paper", "item", "budget", "rows", "findings", "runs", "made_with")

Tree = dict[str, object]


@dataclass(frozen=True)
class Options:
    """What to keep.

    Attributes:
        item: the file that reproduce wrote.
        commit: of the code that trained; by default that of this checkout.
        note: what else a reader should know, such as which images were used.
        folder: where to write.
    """

    item: Annotated[Positional[Path], arg(metavar="ITEM.json")]
    commit: str | None = None
    note: str = ""
    folder: Path = ROOT / "results"


def keep(options: Options) -> Path:
    """Write an item's result and return its path, ``PAPER-ITEM-BUDGET.json``.

    Raises:
        ValueError: if the file is no item's, or of the smoke budget, or has no rows.
    """
    found = cast("Tree", json.loads(options.item.read_text("utf-8")))
    missing = [part for part in _PARTS if part not in found]
    if missing:
        raise ValueError(f"{options.item} lacks {', '.join(missing)}; make it by mrvae reproduce")
    if found["budget"] == "smoke" or not found["rows"]:
        raise ValueError(f"{options.item} is a smoke run or empty, which is no result")
    made = {"commit": options.commit or commit(ROOT), "note": options.note}
    path = options.folder / f"{found['paper']}-{found['item']}-{found['budget']}.json"
    path.write_text(json.dumps(found | made, indent=1, ensure_ascii=False) + "\n", "utf-8")
    return path


if __name__ == "__main__":
    print(keep(tyro.cli(Options)))
