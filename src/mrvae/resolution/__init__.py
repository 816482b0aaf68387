"""Multi-resolution analysis: nested spaces of images, without weights or random numbers.

V_0 ⊂ V_1 ⊂ … ⊂ V_J are images of b, 2b, …, b·2^J pixels a side, a coarser image being a finer one
that is constant on blocks. A :class:`Ladder` holds the projection P from V_j to V_{j-1}, which
averages, and the embedding E back, which repeats. P after E is the identity; E after P is the
orthogonal projection of V_j onto V_{j-1}.

What a projection loses is an orthogonal complement, and :class:`Haar` is the orthonormal change of
basis V_j = V_{j-1} ⊕ details that contains it: in d dimensions P is 2^{-d/2} times its coarse part
(Falck et al. 2022, section 2), so a U-Net that averages works in the Haar basis.
:func:`conjugacy_residual` measures this, for Haar and for every other orthogonal
:class:`Wavelet`, each of which has a P and an E of its own, :class:`WaveletPooling`.

A :class:`Basis` reads images as functions, with the norm of L². A :class:`Bridge` is a stochastic
process whose resolution grows with time.

A wavelet localises in space and scale; the :class:`DCT` keeps the lowest frequencies of an image.
"""

from __future__ import annotations

from mrvae.resolution.basis import Basis
from mrvae.resolution.bridge import Bridge, BridgeStage, Moment, coarser_noise
from mrvae.resolution.conjugacy import Pooling, WaveletPooling, conjugacy_residual
from mrvae.resolution.dct import DCT
from mrvae.resolution.filters import FilterBank, filter_bank, wavelet_names
from mrvae.resolution.haar import Haar
from mrvae.resolution.ladder import Ladder, Resampling
from mrvae.resolution.wavelet import Coefficients, Wavelet

__all__ = [
    "DCT",
    "Basis",
    "Bridge",
    "BridgeStage",
    "Coefficients",
    "FilterBank",
    "Haar",
    "Ladder",
    "Moment",
    "Pooling",
    "Resampling",
    "Wavelet",
    "WaveletPooling",
    "coarser_noise",
    "conjugacy_residual",
    "filter_bank",
    "wavelet_names",
]
