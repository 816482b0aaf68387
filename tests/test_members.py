"""The helper that checks a property on every member of a family."""

from __future__ import annotations

import pytest

from helpers.members import for_all


def test_every_combination_is_checked_and_the_one_that_fails_is_named() -> None:
    seen = []

    @for_all("a", [1, 2])
    @for_all(("b", "c"), [(3, 4), (5, 6)])
    def check(fixture: str, a: int, b: int, c: int) -> None:
        seen.append((fixture, a, b, c))
        assert (a, c) != (2, 6)

    with pytest.raises(AssertionError) as failure:
        check(fixture="given")
    assert seen == [("given", *rest) for rest in [(1, 3, 4), (1, 5, 6), (2, 3, 4), (2, 5, 6)]]
    assert failure.value.__notes__ == ["for {'b': 5, 'c': 6}", "for {'a': 2}"]


def test_a_family_without_members_is_refused() -> None:
    with pytest.raises(ValueError, match="name has no members"):
        for_all("name", [])
