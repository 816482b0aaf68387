"""Damaged files: a file is whole, or cut and decodes to what is left, or is refused.

`tests/compression/damaging.py` does the same to ten thousand files, and counts.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from helpers.damage import (
    CHANCES,
    MODES,
    PREFIX,
    REFUSED,
    RIGHT,
    SAME,
    Victim,
    damage,
    forged,
    outcome,
    victim,
    within_a_gigabyte,
)
from helpers.tiny_codec import known


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> list[Victim]:
    return [victim(known(), tmp_path_factory.mktemp(mode), mode) for mode in MODES]


def damaged(victims: list[Victim], path: Path, count: int, seed: int) -> set[str]:
    """Damage so many files, see that what comes of each is what may, and return all that came."""
    rng, every = Random(seed), set()  # noqa: S311
    for number in range(count):
        one, kind, data = damage(victims, number, rng)
        found = outcome(one, data, path)
        is_cut = one.data.startswith(data) and len(data) in one.prefixes
        assert found == (REFUSED if not is_cut else SAME if data == one.data else PREFIX), kind
        assert kind != "cut at a chunk" or is_cut
        every.add(found)
    return every


def test_a_damaged_file_is_refused_and_a_cut_one_is_what_is_left(
    victims: list[Victim], tmp_path: Path
) -> None:
    found = damaged(victims, tmp_path / "damaged", 3 * (len(CHANCES) + 2) * 12, seed=0)
    assert found == {REFUSED, PREFIX, SAME}


def test_a_forged_file_is_refused_or_right(victims: list[Victim], tmp_path: Path) -> None:
    rng = Random(1)  # noqa: S311
    files = [(one, forged(one.data, rng)) for one in victims for _ in range(6)]
    found = [outcome(one, data, tmp_path / "forged") for one, data in files]
    assert set(found) <= {REFUSED, RIGHT, SAME}
    assert found.count(REFUSED) > len(found) / 2


@pytest.mark.slow
def test_three_thousand_damaged_files_take_less_than_a_gigabyte(
    victims: list[Victim], tmp_path: Path
) -> None:
    rng, thirty = Random(3), victims * 30  # noqa: S311
    with within_a_gigabyte():
        found = damaged(victims, tmp_path / "damaged", 3000, seed=2)
        malice = {outcome(one, forged(one.data, rng), tmp_path / "forged") for one in thirty}
    assert found == {REFUSED, PREFIX, SAME}
    assert REFUSED in malice <= {REFUSED, RIGHT, SAME}
