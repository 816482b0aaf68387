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
    expected_outcomes,
    malice,
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
        assert found in expected_outcomes(one, kind, data), kind
        every.add(found)
    return every


def forge(victims: list[Victim], path: Path, count: int, seed: int) -> dict[str, list[str]]:
    """Forge so many files, and return what came of each kind."""
    rng, found = Random(seed), dict[str, list[str]]()  # noqa: S311
    for number in range(count):
        one = victims[number // 4 % len(victims)]
        kind, data = malice(one, number, rng, path)
        found.setdefault(kind, []).append(outcome(one, data, path))
    return found


def test_a_damaged_file_is_refused_and_a_cut_one_is_what_is_left(
    victims: list[Victim], tmp_path: Path
) -> None:
    found = damaged(victims, tmp_path / "damaged", 3 * (len(CHANCES) + 3) * 12, seed=0)
    assert found == {REFUSED, PREFIX, SAME}


def test_a_forged_file_is_refused_or_right(victims: list[Victim], tmp_path: Path) -> None:
    found = forge(victims, tmp_path / "forged", 96, seed=1)
    for kind, outcomes in found.items():
        # Pictures that a header declares more look as if the end of the file were missing.
        harmless = {REFUSED, RIGHT, SAME, *({PREFIX} if kind == "header counts" else ())}
        assert set(outcomes) <= harmless, kind
    assert found["forged"].count(REFUSED) > len(found["forged"]) / 2
    assert set(found["names"]) <= {RIGHT, SAME}
    assert set(found["many pictures"]) <= {REFUSED, RIGHT}


@pytest.mark.slow
def test_three_thousand_damaged_files_take_less_than_a_gigabyte(
    victims: list[Victim], tmp_path: Path
) -> None:
    with within_a_gigabyte():
        found = damaged(victims, tmp_path / "damaged", 3000, seed=2)
        made_up = set().union(*forge(victims, tmp_path / "forged", 360, seed=3).values())
    assert found == {REFUSED, PREFIX, SAME}
    assert REFUSED in made_up <= {REFUSED, RIGHT, SAME, PREFIX}
