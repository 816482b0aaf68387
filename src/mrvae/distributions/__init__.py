"""Log-probabilities, divergences and samples: the probability theory of the package.

Latents are diagonal :class:`Gaussian`; images are uint8. Every likelihood of an image is a
:class:`PixelDistribution`, a normalised probability mass function over the pixel values 0 … n-1, so
that a bound computed with it is a bound and a code built on it can be decoded. Everything is in
nats and in float32 or wider. Only :class:`Bins` maps pixel values to the real line.

A discrete latent is quantised to a :class:`Grid`; its distribution is a
:class:`DiscretizedGaussian`. A prior of any family is a :class:`Distribution`: those of wavelet
details are :class:`Laplace` and :class:`Logistic`.
"""

from __future__ import annotations

from mrvae.distributions.bernoulli import Bernoulli
from mrvae.distributions.categorical import Categorical
from mrvae.distributions.discretize import Bins
from mrvae.distributions.discretized_gaussian import DiscretizedGaussian
from mrvae.distributions.distribution import Distribution
from mrvae.distributions.gaussian import BoundedScale, Gaussian, RawScale, Scale, SoftplusScale
from mrvae.distributions.gaussian_pixels import GaussianPixels
from mrvae.distributions.grid import Grid
from mrvae.distributions.laplace import Laplace, Logistic, gaussian_laplace_kl, mean_magnitude
from mrvae.distributions.logistic import DiscretizedLogisticMixture
from mrvae.distributions.pixels import PixelDistribution
from mrvae.distributions.quantise import MidRise, MidTread, Quantiser

__all__ = [
    "Bernoulli",
    "Bins",
    "BoundedScale",
    "Categorical",
    "DiscretizedGaussian",
    "DiscretizedLogisticMixture",
    "Distribution",
    "Gaussian",
    "GaussianPixels",
    "Grid",
    "Laplace",
    "Logistic",
    "MidRise",
    "MidTread",
    "PixelDistribution",
    "Quantiser",
    "RawScale",
    "Scale",
    "SoftplusScale",
    "gaussian_laplace_kl",
    "mean_magnitude",
]
