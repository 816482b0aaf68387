"""The items of every paper, by name; an item's module is imported when it is asked for.

Nothing here imports torch before that, so that lists and refusals are instant.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mrvae.suggestions import did_you_mean

if TYPE_CHECKING:
    from mrvae.papers.engine import Item

PAPERS: Mapping[str, Mapping[str, str]] = {
    "falck2022": {
        "theory": "definitions and theorems as checks, each failing when it should",
        "table1": "bounds of shared models against plain ones",
        "table2": "bounds with the residual state normalised, and without",
        "figure1": "what the latents of each resolution know of each Haar band",
        "figure5": "bounds against parameters and against repeats of shared blocks",
        "figure6": "norm of the residual state after every block",
        "figure7": "samples, at a temperature chosen by a rule",
        "ablations": "one change at a time",
    },
    "kiruluta2025": {
        "table1": "reconstruction, proxy Fréchet and bits of VAE and Wavelet-VAE",
        "ablation_noise": "MSE against the scale of the noise and λ",
        "figure1": "reconstructions and samples of each model",
        "figure2": "coefficients in nested quadrants, and images without a band",
        "families": "five wavelets at one to four levels, by bits per dimension",
        "kl": "KL of a Gaussian from a Laplace against quadrature and Monte Carlo",
    },
    "kuzina2023": {
        "proofs": "propositions 1 and 2, and appendix A, summed exactly on tables",
        "table1": "active units, KL per unit and NLL of 4 to 10 latents",
        "table2": "bounds with a context and without, and the published estimator",
        "table3": "bits per dimension on CIFAR-10, with a context and without",
        "table4": "active units and KL per unit, without and with a context",
        "table5": "table 3 beside models of any size",
        "figure1": "distribution of the KL per unit",
        "figure3": "bounds with contexts of several kinds and sizes",
        "figure4": "similarity of images and reconstructions from their top latents",
        "figure5": "rate and distortion on Kodak, from the context only",
        "figure6": "a photograph from few latents, side by side",
        "figure9": "a page of photographs from few latents, none chosen",
        "figure10": "similarity of reconstructions under attacks on the top latents",
        "defects": "nats that each defect of the published estimator is worth",
    },
}


def find(paper: str, item: str) -> Item:
    """Return an item of a paper.

    Raises:
        ValueError: if there is no such paper or item; a near name is suggested.

    Example:
        >>> find("falck2022", "figure5").name
        'figure5'
        >>> find("falck2022", "figure55")
        Traceback (most recent call last):
        ValueError: falck2022 has no item 'figure55'; did you mean figure5?
    """
    if paper not in PAPERS:
        raise ValueError(f"there is no paper {paper!r}; {did_you_mean(paper, PAPERS)}")
    items = PAPERS[paper]
    if item not in items:
        raise ValueError(f"{paper} has no item {item!r}; {did_you_mean(item, items)}")
    match paper:
        case "falck2022":
            return _falck2022(item)
        case "kiruluta2025":
            return _kiruluta2025(item)
        case _:
            return _kuzina2023(item)


def _falck2022(item: str) -> Item:
    match item:
        case "theory":
            from mrvae.papers.falck2022.theory import ITEM
        case "table1":
            from mrvae.papers.falck2022.table1 import ITEM
        case "table2":
            from mrvae.papers.falck2022.table2 import ITEM
        case "figure1":
            from mrvae.papers.falck2022.figure1 import ITEM
        case "figure5":
            from mrvae.papers.falck2022.figure5 import ITEM
        case "figure6":
            from mrvae.papers.falck2022.figure6 import ITEM
        case "figure7":
            from mrvae.papers.falck2022.figure7 import ITEM
        case _:
            from mrvae.papers.falck2022.ablations import ITEM
    return ITEM


def _kiruluta2025(item: str) -> Item:
    match item:
        case "table1":
            from mrvae.papers.kiruluta2025.table1 import ITEM
        case "ablation_noise":
            from mrvae.papers.kiruluta2025.ablation_noise import ITEM
        case "figure1":
            from mrvae.papers.kiruluta2025.figure1 import ITEM
        case "figure2":
            from mrvae.papers.kiruluta2025.figure2 import ITEM
        case "families":
            from mrvae.papers.kiruluta2025.families import ITEM
        case _:
            from mrvae.papers.kiruluta2025.kl import ITEM
    return ITEM


def _kuzina2023(item: str) -> Item:
    match item:
        case "proofs":
            from mrvae.papers.kuzina2023.proofs import ITEM
        case "table1":
            from mrvae.papers.kuzina2023.table1 import ITEM
        case "table2":
            from mrvae.papers.kuzina2023.table2 import ITEM
        case "table3":
            from mrvae.papers.kuzina2023.table3 import ITEM
        case "table4":
            from mrvae.papers.kuzina2023.table4 import ITEM
        case "table5":
            from mrvae.papers.kuzina2023.table3 import TABLE5 as ITEM
        case "figure1":
            from mrvae.papers.kuzina2023.figure1 import ITEM
        case "figure3":
            from mrvae.papers.kuzina2023.figure3 import ITEM
        case "figure4":
            from mrvae.papers.kuzina2023.figure4 import ITEM
        case "figure5":
            from mrvae.papers.kuzina2023.figure5 import ITEM
        case "figure6":
            from mrvae.papers.kuzina2023.pages import FIGURE6 as ITEM
        case "figure9":
            from mrvae.papers.kuzina2023.pages import FIGURE9 as ITEM
        case "figure10":
            from mrvae.papers.kuzina2023.figure10 import ITEM
        case _:
            from mrvae.papers.kuzina2023.defects import ITEM
    return ITEM
