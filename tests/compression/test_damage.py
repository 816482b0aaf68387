"""Laws of damage: a file is whole, or cut and as good as what is left, or refused.

`tests/compression/damaging.py` does the same to ten thousand files, and counts.
"""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from laws.damage import (
    CHANCES,
    MODES,
    PREFIX,
    REFUSED,
    SAME,
    Victim,
    damage,
    forged,
    outcome,
    victim,
    within_a_gigabyte,
)
from laws.tiny_codec import known


@pytest.fixture(scope="module")
def victims(tmp_path_factory: pytest.TempPathFactory) -> list[Victim]:
    return [victim(known(), tmp_path_factory.mktemp(mode), mode) for mode in MODES]


def damaged(victims: list[Victim], path: Path, count: int, seed: int) -> None:
    """Damage so many files, and see that nothing else comes of it than may."""
    rng = Random(seed)  # noqa: S311
    for number in range(count):
        one, kind, data = damage(victims, number, rng)
        found = outcome(one, data, path)
        is_cut = one.data.startswith(data) and len(data) in one.prefixes
        assert found == (REFUSED if not is_cut else SAME if data == one.data else PREFIX), kind
        assert kind != "cut at a chunk" or is_cut


def test_a_damaged_file_is_refused_and_a_cut_one_is_what_is_left(
    victims: list[Victim], tmp_path: Path
) -> None:
    damaged(victims, tmp_path / "damaged", 3 * (len(CHANCES) + 2) * 12, seed=0)


def test_a_forged_file_is_refused_or_right(victims: list[Victim], tmp_path: Path) -> None:
    rng = Random(1)  # noqa: S311
    for one in victims:
        for _ in range(6):
            outcome(one, forged(one.data, rng), tmp_path / "forged")


@pytest.mark.slow
def test_three_thousand_damaged_files_take_less_than_a_gigabyte(
    victims: list[Victim], tmp_path: Path
) -> None:
    with within_a_gigabyte():
        damaged(victims, tmp_path / "damaged", 3000, seed=2)
        rng = Random(3)  # noqa: S311
        for number in range(90):
            one = victims[number % len(victims)]
            outcome(one, forged(one.data, rng), tmp_path / "forged")
