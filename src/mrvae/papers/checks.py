"""What a check of a theorem is: a comparison that has to hold, and to fail when it should.

A check compares a measured value, on the left, with a bound or a known value on the right. A check
that passes whatever one puts in shows nothing; so each is made a second time with one operator
replaced by a wrong one, or a hypothesis left out, and has to fail. A *property* must hold on any
data, and its wrong twin fail; an *observation* is what one training or one model shows, and may
come out either way. Tables that are recorded call a property a law.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from mrvae.papers.outcome import Row

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Check:
    """One line of the report on the theorems.

    Args:
        about: the definition or theorem, such as ``theorem 2``.
        check: what is compared.
        at: level, wavelet, data or step.
        left: the measured value.
        right: the bound or the value expected.
        wrong: the wrong operator.
        wrong_left: the measured value with it.
        wrong_right: the bound with it; ``right`` if it does not change.
        within: for a comparison by equality, how far apart the sides may be; None for left ≤ right.
        is_property: whether it must hold, and its wrong twin must not.

    Example:
        >>> check = Check("theorem 2", "residual", "level 1", 1e-16, 1e-12, "subsampling", 0.3)
        >>> check.holds, check.wrong_holds, check.row()["relation"]
        (True, False, '≤')
    """

    about: str
    check: str
    at: str
    left: float
    right: float
    wrong: str
    wrong_left: float
    wrong_right: float | None = None
    within: float | None = None
    is_property: bool = True

    @property
    def holds(self) -> bool:
        """Whether it holds, but for rounding."""
        return self._compare(self.left, self.right)

    @property
    def wrong_holds(self) -> bool:
        """Whether it holds with the wrong operator."""
        return self._compare(self.wrong_left, self._wrong_right)

    @property
    def passes(self) -> bool:
        """Whether it holds, and does not with the wrong operator."""
        return self.holds and not self.wrong_holds

    def row(self) -> Row:
        """Return it as a row of a table."""
        return {
            "about": self.about,
            "kind": "law" if self.is_property else "observation",
            "check": self.check,
            "at": self.at,
            "left": self.left,
            "relation": "≤" if self.within is None else f"= ± {self.within:.3g}",
            "right": self.right,
            "holds": self.holds,
            "wrong_operator": self.wrong,
            "wrong_left": self.wrong_left,
            "wrong_right": self._wrong_right,
            "wrong_holds": self.wrong_holds,
        }

    @property
    def _wrong_right(self) -> float:
        return self.right if self.wrong_right is None else self.wrong_right

    def _compare(self, left: float, right: float) -> bool:
        if self.within is not None:
            return abs(left - right) <= self.within
        return left <= right + _ROUNDING * abs(right)


@dataclass(frozen=True)
class Claim:
    """What checks have in common that compare the same at several levels, wavelets or data.

    Args:
        about: the definition or theorem.
        check: what is compared.
        wrong: the wrong operator.
        right: the bound or the value expected, where it is the same at all places.
        within: as of a :class:`Check`.
        is_property: as of a :class:`Check`.

    Example:
        >>> claim = Claim("theorem 2", "residual", "subsampling", right=1e-12)
        >>> claim.at("level 1", 1e-16, 0.3).passes
        True
    """

    about: str
    check: str
    wrong: str
    right: float = 0.0
    within: float | None = None
    is_property: bool = True

    def at(
        self,
        place: str,
        left: float,
        wrong_left: float,
        right: float | None = None,
        wrong_right: float | None = None,
    ) -> Check:
        """Return the check at a place; ``right`` where the bound is its own."""
        bound = self.right if right is None else right
        known = self.about, self.check, place, left, bound, self.wrong, wrong_left, wrong_right
        return Check(*known, self.within, self.is_property)


def failures(checks: Iterable[Check]) -> list[Check]:
    """Return the properties that do not hold, or hold with a wrong operator too.

    Example:
        >>> vain = Check("theorem 2", "residual", "level 1", 0.0, 1e-12, "the right one", 0.0)
        >>> [check.at for check in failures([vain])]
        ['level 1']
    """
    return [check for check in checks if check.is_property and not check.passes]


def counted(checks: Iterable[Check]) -> tuple[str, ...]:
    """Return how many properties hold, and each that does not, in words.

    Example:
        >>> counted([Check("theorem 2", "residual", "level 1", 0.0, 1e-12, "subsampling", 0.3)])
        ('1 of 1 laws hold, and fail with their wrong operator',)
    """
    properties = [check for check in checks if check.is_property]
    failed = failures(properties)
    passed = len(properties) - len(failed)
    return (
        f"{passed} of {len(properties)} laws hold, and fail with their wrong operator",
        *(f"{check.about}, {check.at}: {check.check}: does not pass" for check in failed),
    )
