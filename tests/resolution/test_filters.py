"""Filter banks: PyWavelets' to the digits that it has, orthonormal to the last."""

from __future__ import annotations

import numpy as np
import pytest
import pywt

from helpers.members import for_all
from mrvae.resolution import filter_bank, wavelet_names

NAMES = wavelet_names()
ORTHOGONAL = [name for name in NAMES if name.startswith(("haar", "db", "sym", "coif"))]
BIORTHOGONAL = [name for name in NAMES if name not in ORTHOGONAL]
every_orthogonal = for_all("name", ORTHOGONAL)


def overlap(first: np.ndarray, second: np.ndarray, shift: int) -> float:
    """Return Σ_k a_k b_{k + 2 shift}, summed without rounding to double on the way."""
    if shift < 0:
        return overlap(second, first, -shift)
    return float(np.dot(first[: len(first) - 2 * shift], second[2 * shift :]))


def test_every_member_of_every_family_is_there() -> None:
    expected = {name for family in ("haar", "db", "sym", "coif") for name in pywt.wavelist(family)}
    assert set(ORTHOGONAL) == expected
    assert set(pywt.wavelist("bior")) < set(BIORTHOGONAL)


@every_orthogonal
def test_double_shifts_are_orthonormal(name: str) -> None:
    low, high = (np.array(each, dtype=np.longdouble) for each in filter_bank(name).filters)
    for shift in range(len(low) // 2):
        same = float(shift == 0)
        assert abs(overlap(low, low, shift) - same) <= 1e-15
        assert abs(overlap(high, high, shift) - same) <= 1e-15
        assert abs(overlap(low, high, shift)) <= 1e-15
        assert abs(overlap(high, low, shift)) <= 1e-15


@every_orthogonal
def test_polynomials_leave_no_details(name: str) -> None:
    high = np.array(filter_bank(name).filters[1], dtype=np.longdouble)
    places = np.linspace(-1, 1, len(high), dtype=np.longdouble)
    moments = pywt.Wavelet(name).vanishing_moments_psi
    for degree in range(moments):
        coefficients = np.zeros(degree + 1)
        coefficients[-1] = 1
        values = np.polynomial.legendre.legval(places, coefficients)
        assert abs(np.dot(high, values)) <= 1e-15
    if moments <= 10:
        assert abs(np.dot(high, places**moments)) > 1e-10


@every_orthogonal
def test_a_constant_is_kept(name: str) -> None:
    low = np.array(filter_bank(name).filters[0], dtype=np.longdouble)
    assert abs(low.sum() ** 2 - 2) <= 1e-15


@for_all("name", NAMES)
def test_filters_are_pywavelets(name: str) -> None:
    bank, table = filter_bank(name), pywt.Wavelet(name)
    tolerance = 1e-10 if bank.orthogonal else 0
    expected = [table.dec_lo, table.dec_hi]
    np.testing.assert_allclose(bank.filters, expected, rtol=0, atol=tolerance)
    back = [table.rec_lo[::-1], table.rec_hi[::-1]]
    np.testing.assert_allclose(bank.dual, back, rtol=0, atol=tolerance)


@for_all("name", BIORTHOGONAL)
def test_the_dual_pair_is_biorthogonal(name: str) -> None:
    bank = filter_bank(name)
    for i, each in enumerate(bank.filters):
        for j, dual in enumerate(bank.dual):
            for shift in range(1 - len(each) // 2, len(each) // 2):
                expected = float(i == j and shift == 0)
                assert abs(overlap(np.array(each), np.array(dual), shift) - expected) <= 2e-12


@for_all(
    ("name", "hint"),
    [
        ("hair", "haar"),
        ("db39", "db38"),
        ("sym1", "sym"),
        ("DB2", "wavelet_names"),
        ("dmey", "wavelet"),
        ("", "wavelet_names"),
    ],
)
def test_an_unknown_name_is_refused_with_near_ones(name: str, hint: str) -> None:
    with pytest.raises(ValueError, match=f"wavelet is '{name}'.*{hint}"):
        filter_bank(name)
