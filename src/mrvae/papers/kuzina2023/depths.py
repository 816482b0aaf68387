"""The models of section 3.2: four hierarchies of equal size and 4 to 10 latents, on MNIST.

Table 1 and figure 1 are made of them. At ``smoke`` two small models of the digits stand for them.
"""

from __future__ import annotations

from mrvae.papers.cells import Cell
from mrvae.papers.desk import Job
from mrvae.papers.kuzina2023.runs import at_budget, mnist
from mrvae.papers.outcome import Budget

DEPTHS = (4, 6, 8, 10)


def cells(budget: Budget) -> list[Cell]:
    """Return one cell for each number of latents.

    Example:
        >>> [cell.name for cell in cells("smoke")]
        ['vdvae', 'dct']
    """
    if budget == "smoke":
        return mnist(budget)
    return [
        Cell(f"L{depth}", Job(at_budget(f"kuzina2023-mnist-L{depth}", budget))) for depth in DEPTHS
    ]
