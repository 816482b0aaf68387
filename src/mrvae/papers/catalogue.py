"""What can be reproduced: the items of every paper, by name.

Nothing here imports torch before an item is worked on, so that a wrong name is answered at once.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

from mrvae.papers import falck2022, kiruluta2025, kuzina2023
from mrvae.papers.item import Item

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
        raise ValueError(f"there is no paper {paper!r}; {_suggestion(paper, PAPERS)}")
    items = PAPERS[paper]
    if item not in items:
        raise ValueError(f"{paper} has no item {item!r}; {_suggestion(item, items)}")
    return items[item]


def _suggestion(word: str, known: Iterable[str]) -> str:
    names = list(known)
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
