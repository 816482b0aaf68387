"""Mixtures of discretised logistics: the likelihood of grey and colour images.

A logistic variable of mean m and scale s has the distribution function σ((u - m)/s). Rounded to
the nearest of n pixel values, it takes the value v, whose bin is [l, r], with probability
σ(a) - σ(b), where a = (r - m)/s and b = (l - m)/s; the first and the last bin reach to infinity,
so the n values sum to one. Their difference loses all digits when both are close, so the logarithm
is taken by

    log(σ(a) - σ(b)) = log σ(a) + log σ(-b) + log(1 - e^{-d}),    d = a - b = 2h/s,

in which no term cancels another and d depends only on the scale. With a log-scale ℓ,

    log(1 - e^{-d}) = log 2h - ℓ + log((1 - e^{-d})/d)

is finite even where d has underflowed. There is no threshold and no floor: the published
approximation of small bins by a density (Salimans et al. 2017) does not sum to one.

A pixel of C channels draws one component k for all its channels. If autoregressive, the mean of
channel c moves with the earlier channels (Salimans et al. 2017, section 2.2), here for any C:

    p(x) = Σ_k π_k Π_c P(x_c; m_ck + Σ_{j<c} tanh(γ_cjk) u_j, s_ck),

where u_j in [-1, 1] is the centre of the bin of x_j.

The conditional of one channel reweighs the components by what the earlier channels were,
p(x_c | x_<c) = Σ_k π_k(x_<c) P_k(x_c), π_k(x_<c) ∝ π_k Π_{j<c} P_k(x_j), with or without the
coefficients γ, so that log p(x) is the sum of the logarithms of its conditionals.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

from mrvae.distributions.categorical import draw
from mrvae.distributions.discretize import Bins
from mrvae.distributions.pixels import require_pixels, widen

# The smallest log-scale, as published, and the largest one for sampling: beyond it the distribution
# of a rounded logistic no longer changes, but its scale would overflow.
_MIN_LOG_SCALE = -7.0
_MAX_LOG_SCALE = 60.0

# A bin of d < 1e-20 scales has (1 - e^{-d})/d = 1 in either precision.
_NARROW = 1e-20


def log_mass(x: Tensor, mean: Tensor, log_scale: Tensor, bins: Bins) -> Tensor:
    """Return the log-probability of pixel values under discretised logistics, in nats.

    Args:
        x: pixel values, of any integer type.
        mean: means on the scale where the bins' centres span [-1, 1].
        log_scale: logarithms of the scale, -80 or more; all three shapes broadcast.
        bins: of the pixels.

    Example:
        >>> log_mass(torch.arange(2), torch.zeros(1), torch.zeros(1), Bins(2)).exp()
        tensor([0.5000, 0.5000])
    """
    lower, upper = bins.edges(x, mean.dtype)
    precision = torch.exp(-log_scale)
    below_upper = functional.logsigmoid((upper - mean) * precision)
    above_lower = functional.logsigmoid((mean - lower) * precision)
    width = 2 * bins.half_width
    minus_d = (precision * -width).clamp(max=-_NARROW)
    inside = (torch.expm1(minus_d) / minus_d).log() - log_scale + math.log(width)
    not_first, not_last = (x > 0).to(mean.dtype), (x < bins.count - 1).to(mean.dtype)
    tails = torch.addcmul(below_upper * not_last, above_lower, not_first)
    return torch.addcmul(tails, inside, not_first * not_last)


def masses(mean: Tensor, log_scale: Tensor, bins: Bins) -> Tensor:
    """Return the probabilities of all values on a new last axis, exp of :func:`log_mass`.

    The three factors σ(a) σ(-b) (1 - e^{-d}) are multiplied as they are: each keeps its digits,
    and what underflows is no number of this precision. It is several times faster than the
    logarithm.

    Example:
        >>> masses(torch.zeros(()), torch.tensor(40.0), Bins(4))
        tensor([5.0000e-01, 7.0806e-19, 7.0806e-19, 5.0000e-01])
    """
    _, inner_edges = bins.edges(torch.arange(bins.count - 1, device=mean.device), mean.dtype)
    precision = torch.exp(-log_scale).unsqueeze(-1)
    standard = (inner_edges - mean.unsqueeze(-1)) * precision
    below, above = torch.sigmoid(standard), torch.sigmoid(-standard)
    inside = -torch.expm1(precision * (-2 * bins.half_width))
    inner = below[..., 1:] * above[..., :-1] * inside
    return torch.cat((below[..., :1], inner, above[..., -1:]), dim=-1)


class DiscretizedLogisticMixture:
    """A mixture of K discretised logistics for every pixel.

    Args:
        parameters: of shape (B, n·K, H, W), read as (B, n, K, H, W) with rows: the mixture's
            logit; C means; C log-scales, taken as at least -7; and if autoregressive C(C-1)/2
            coefficients before their tanh, channel 1 on 0, 2 on 0, 2 on 1, 3 on 0, …
        channels: C.
        bins: number of bins, 2 … 256.
        autoregressive: whether the means of later channels depend on earlier ones.

    Raises:
        ValueError: if the number of parameters is not a multiple of n, or ``bins`` is out of range.

    Example:
        >>> mixture = DiscretizedLogisticMixture(torch.zeros(1, 10, 1, 1), channels=3, bins=2)
        >>> mixture.log_prob(torch.ones(1, 3, 1, 1, dtype=torch.uint8))
        tensor([-2.0794])
    """

    def __init__(
        self, parameters: Tensor, channels: int, bins: int = 256, autoregressive: bool = True
    ) -> None:
        n = self.parameter_channels(channels, 1, autoregressive)
        batch, rows, height, width = parameters.shape
        if rows == 0 or rows % n:
            raise ValueError(
                f"parameters have {rows} channels; expected a positive multiple of {n} for"
                f" {channels} channels with autoregressive={autoregressive}, see parameter_channels"
            )
        grouped = widen(parameters).view(batch, n, rows // n, height, width)
        self.channels = channels
        self.bins = Bins(bins)
        self.autoregressive = autoregressive and channels > 1
        self.log_weights = grouped[:, 0].log_softmax(dim=1)
        self.means = grouped[:, 1 : 1 + channels]
        self.log_scales = grouped[:, 1 + channels : 1 + 2 * channels].clamp(min=_MIN_LOG_SCALE)
        self.coefficients = grouped[:, 1 + 2 * channels :].tanh()

    @staticmethod
    def parameter_channels(channels: int, components: int, autoregressive: bool) -> int:
        """Return the number of parameters per pixel.

        Example:
            >>> DiscretizedLogisticMixture.parameter_channels(3, 10, autoregressive=True)
            100
        """
        pairs = channels * (channels - 1) // 2 if autoregressive else 0
        return components * (1 + 2 * channels + pairs)

    def log_prob(self, x: Tensor) -> Tensor:
        """Return log p(x) in nats, of shape (B,), for uint8 images (B, C, H, W)."""
        joint = self.log_weights + self._log_mass(x).sum(dim=1)
        return joint.logsumexp(dim=1).sum(dim=(1, 2))

    def pmf(self, given: Tensor | None = None) -> Tensor:
        """Return the probabilities of every value, of shape (B, C, H, W, bins).

        Channel c is conditional on channels 0 … c-1 of ``given``, uint8 (B, C, H, W); what its
        channels c … hold has no influence. Without ``given`` it is marginal.

        Raises:
            ValueError: if there is no ``given`` and an autoregressive model has several channels.
        """
        means, log_weights = self.means, self.log_weights.unsqueeze(1).expand_as(self.means)
        if given is not None:
            means, log_weights = self._all_means(given), self._posterior_weights(given)
        elif self.autoregressive:
            raise ValueError(
                f"the later of {self.channels} channels depend on the earlier ones and given is"
                " None; pass the image whose earlier channels are known"
            )
        parts = zip(means.unbind(2), self.log_scales.unbind(2), log_weights.unbind(2), strict=True)
        # One component at a time: all at once would take K times the memory of the result.
        total = torch.zeros((), dtype=means.dtype, device=means.device)
        for mean, log_scale, log_weight in parts:
            total = total + masses(mean, log_scale, self.bins) * log_weight.exp().unsqueeze(-1)
        return total

    def mean(self) -> Tensor:
        """Return the mean in pixel values, of shape (B, C, H, W).

        Each component's mean is Σ_{v<n-1} P(x > v), exact for the rounded and folded logistic.
        If autoregressive, the channels follow one another: channel c has the mean of its
        conditional pmf when the earlier channels are at their own means, rounded.
        """
        if not self.autoregressive:
            component_means = self._component_means(self.means, self.log_scales)
            return (component_means * self.log_weights.exp().unsqueeze(1)).sum(dim=2)
        log_weights, pixels, result = self.log_weights, self._no_pixels(), []
        for channel in range(self.channels):
            means, log_scales = self._means(channel, pixels), self.log_scales[:, channel]
            weights = log_weights.softmax(dim=1)
            result.append((self._component_means(means, log_scales) * weights).sum(dim=1))
            rounded = result[-1].round().to(torch.uint8)
            log_weights = log_weights + log_mass(rounded.unsqueeze(1), means, log_scales, self.bins)
            pixels = torch.cat((pixels, rounded.unsqueeze(1)), dim=1)
        return torch.stack(result, dim=1)

    def sample(self, generator: torch.Generator | None = None) -> Tensor:
        """Draw one uint8 image (B, C, H, W) for each element of the batch.

        A component is drawn for each pixel, then its channels in order: a logistic draw rounded
        to the nearest value, on which the next channels depend. The distribution is ``pmf``.
        """
        component = draw(self.log_weights, 1, generator).unsqueeze(1)
        pixels = self._no_pixels()
        for channel in range(self.channels):
            means = self._means(channel, pixels).gather(1, component)
            log_scales = self.log_scales[:, channel].gather(1, component)
            uniform = torch.rand(
                means.shape, generator=generator, dtype=means.dtype, device=means.device
            )
            draws = means + log_scales.clamp(max=_MAX_LOG_SCALE).exp() * uniform.logit()
            pixels = torch.cat((pixels, self.bins.to_bin(draws)), dim=1)
        return pixels

    def _no_pixels(self) -> Tensor:
        """Return an image without channels, (B, 0, H, W)."""
        batch, _, height, width = self.log_weights.shape
        return torch.empty(
            batch, 0, height, width, dtype=torch.uint8, device=self.log_weights.device
        )

    def _means(self, channel: int, pixels: Tensor) -> Tensor:
        """Return one channel's means (B, K, H, W) given at least the earlier channels."""
        means = self.means[:, channel]
        if not self.autoregressive:
            return means
        first = channel * (channel - 1) // 2
        known = self.bins.to_unit(pixels[:, :channel], means.dtype)
        for earlier in range(channel):
            value = known[:, earlier].unsqueeze(1)
            means = torch.addcmul(means, self.coefficients[:, first + earlier], value)
        return means

    def _all_means(self, x: Tensor) -> Tensor:
        """Return the means (B, C, K, H, W) of every channel given the earlier ones of ``x``."""
        if not self.autoregressive:
            return self.means
        return torch.stack([self._means(channel, x) for channel in range(self.channels)], dim=1)

    def _log_mass(self, x: Tensor) -> Tensor:
        """Return the log-probability of each channel under each component, (B, C, K, H, W)."""
        require_pixels(x, self.means[:, :, 0].shape)
        return log_mass(x.unsqueeze(2), self._all_means(x), self.log_scales, self.bins)

    def _posterior_weights(self, x: Tensor) -> Tensor:
        """Return log π_k(x_<c), of shape (B, C, K, H, W)."""
        masses = self._log_mass(x)
        # Shifted, not subtracted, so that no later channel leaves a trace in the last bit.
        earlier = torch.cat((torch.zeros_like(masses[:, :1]), masses[:, :-1].cumsum(1)), dim=1)
        return (self.log_weights.unsqueeze(1) + earlier).log_softmax(dim=2)

    def _component_means(self, means: Tensor, log_scales: Tensor) -> Tensor:
        """Return Σ_v P(x > v) for each component, in pixel values."""
        precision = torch.exp(-log_scales)
        total = torch.zeros_like(means)
        for value in range(self.bins.count - 1):
            _, upper = self.bins.edges(torch.tensor(value), means.dtype)
            total = total + torch.sigmoid((means - upper) * precision)
        return total
