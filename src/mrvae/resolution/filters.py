"""Filter banks of wavelets, orthonormal to the last bit.

One step of a periodised wavelet transform correlates a signal of n samples with a low-pass filter
h and a high-pass filter g of F taps each (F even), and keeps every other value,

    coarse_k = Σ_j h_j x_{2k + F/2 - j},    detail_k = Σ_j g_j x_{2k + F/2 - j}    (indices mod n),

in the order and with the phase of PyWavelets. A second pair of filters, the dual one, brings the
signal back: synthesis is the transpose of the dual pair's analysis. In an orthogonal family (haar,
dbN, symN, coifN) the two pairs are one, which asks for

    Σ_k h_k h_{k+2m} = δ_{m0}    and    g_k = ± (-1)^k h_{F-1-k},

and a wavelet with p vanishing moments has Σ_k (-1)^k k^q h_k = 0 for q < p. Tables of some families
are accurate only to 1e-11. So h is refined once, by Newton steps on these equations from the
tabulated filter: residuals in extended precision, steps of least norm. The change is below 1e-10.

In the biorthogonal families (biorN.M, and rbioN.M with the two pairs exchanged) the filters are
those of the tables.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from mrvae.suggestions import did_you_mean

Filters: TypeAlias = tuple[tuple[float, ...], ...]

_HAAR = "haar", "db1"
_ORTHOGONAL = "haar", "db", "sym", "coif"
_BIORTHOGONAL = "bior", "rbio"
_NEWTON_STEPS = 2
# Long filters all but vanish at one end: below this singular value, a step would be rounding alone.
_RANK = 1e-5


@dataclass(frozen=True)
class FilterBank:
    """The low-pass and the high-pass filter of a wavelet, and their duals.

    Args:
        name: the name that PyWavelets gives it.
        filters: (h, g), which analyse.
        dual: the pair whose transposed analysis is the synthesis; ``filters`` again if orthogonal.
    """

    name: str
    filters: Filters
    dual: Filters

    @property
    def orthogonal(self) -> bool:
        """Whether one step is an orthonormal map."""
        return self.filters == self.dual

    @property
    def is_haar(self) -> bool:
        """Whether the filters are those of the Haar wavelet, by either of its names."""
        return self.name in _HAAR


def wavelet_names() -> tuple[str, ...]:
    """Return every name that :func:`filter_bank` knows, family by family.

    Example:
        >>> wavelet_names()[:4]
        ('haar', 'db1', 'db2', 'db3')
    """
    # PyWavelets takes a third of a second to import, and Haar does without it.
    import pywt

    families = (*_ORTHOGONAL, *_BIORTHOGONAL)
    return tuple(name for family in families for name in pywt.wavelist(family))


@lru_cache(maxsize=256)
def filter_bank(name: str) -> FilterBank:
    """Return the filters of a wavelet.

    Args:
        name: haar, db1 … db38, sym2 … sym20, coif1 … coif17, or a biorthogonal bior1.1 … bior6.8,
            rbio1.1 … rbio6.8. PyWavelets' dmey is left out: it is orthonormal to 2e-3 only.

    Raises:
        ValueError: if there is no such wavelet.

    Example:
        >>> bank = filter_bank("db2")
        >>> [round(tap, 4) for tap in bank.filters[0]], bank.orthogonal
        ([-0.1294, 0.2241, 0.8365, 0.483], True)
    """
    if name in _HAAR:
        tap = math.sqrt(0.5)
        return FilterBank(name, ((tap, tap), (-tap, tap)), ((tap, tap), (-tap, tap)))
    _check(name)
    import pywt

    wavelet = pywt.Wavelet(name)
    if name.startswith(_ORTHOGONAL):
        low = _polish(np.array(wavelet.rec_lo), wavelet.vanishing_moments_psi)
        pair = _pair(low)
        return FilterBank(name, pair, pair)
    dual = tuple(wavelet.rec_lo[::-1]), tuple(wavelet.rec_hi[::-1])
    return FilterBank(name, (tuple(wavelet.dec_lo), tuple(wavelet.dec_hi)), dual)


def _check(name: str) -> None:
    """Refuse an unknown wavelet, and suggest similar names."""
    known = wavelet_names()
    if name in known:
        return
    hint = did_you_mean(name, known, 3, otherwise="see resolution.wavelet_names()")
    raise ValueError(f"wavelet is {name!r}; expected haar, db2, sym4, coif1, bior2.2 or so: {hint}")


def _pair(low: NDArray[np.float64]) -> Filters:
    """Return (h, g) as they analyse, from the low-pass filter in the order of time."""
    signs = 1.0 - 2.0 * (np.arange(len(low)) % 2)
    return tuple(low[::-1].tolist()), tuple((-signs * low).tolist())


def _polish(low: NDArray[np.float64], moments: int) -> NDArray[np.float64]:
    """Take Newton steps of least norm towards an orthonormal filter with vanishing moments."""
    vanishing = _alternating_polynomials(len(low), moments)
    exact = low.astype(np.longdouble)
    for _ in range(_NEWTON_STEPS):
        shifts = _double_shifts(exact)
        overlaps = shifts @ exact
        overlaps[0] -= 1
        residual = np.concatenate((overlaps, vanishing @ exact))
        jacobian = np.concatenate((shifts + _double_shifts(exact[::-1])[:, ::-1], vanishing))
        step = np.linalg.lstsq(
            jacobian.astype(np.float64), residual.astype(np.float64), rcond=_RANK
        )[0]
        exact = exact - step
    return exact.astype(np.float64)


def _double_shifts(taps: NDArray[np.longdouble]) -> NDArray[np.longdouble]:
    """Return the rows (h_{k+2m})_k for m = 0 … F/2 - 1, zeros where h has ended."""
    rows = np.zeros((len(taps) // 2, len(taps)), dtype=np.longdouble)
    for m, row in enumerate(rows):
        row[: len(taps) - 2 * m] = taps[2 * m :]
    return rows


def _alternating_polynomials(count: int, degree: int) -> NDArray[np.longdouble]:
    """Return orthonormal rows that span (-1)^k k^q for q below ``degree``."""
    places = np.linspace(-1.0, 1.0, count)
    basis = np.linalg.qr(np.polynomial.legendre.legvander(places, degree - 1))[0]
    signs = 1.0 - 2.0 * (np.arange(count) % 2)
    rows: NDArray[np.longdouble] = (signs * basis.T).astype(np.longdouble)
    return rows
