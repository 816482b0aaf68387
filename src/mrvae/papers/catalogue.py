"""What can be reproduced: the items of every paper, by name.

Nothing here imports torch before an item is worked on, so that a wrong name is answered at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from mrvae.papers import falck2022, kiruluta2025, kuzina2023
from mrvae.papers.item import Item
from mrvae.suggestions import did_you_mean

PAPERS: Mapping[str, Mapping[str, Item]] = {
    "falck2022": falck2022.ITEMS,
    "kiruluta2025": kiruluta2025.ITEMS,
    "kuzina2023": kuzina2023.ITEMS,
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
    return items[item]
