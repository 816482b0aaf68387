"""The hierarchical VAE: encoder, hierarchy and likelihood, and what one asks of them.

Everything here is a short driver of the decoder's one walk. Latents are tuples of tensors
(B, C, H, W), coarse to fine, one for each stochastic layer. Where the model has a context, it is
the first of them, as int64 levels: it is the first column of the bound, the first latent that is
kept of an image, and the first that is drawn for a sample.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from mrvae.distributions import PixelDistribution
from mrvae.models.decoder import Decoder
from mrvae.models.elbo import Elbo, sum_per_image
from mrvae.models.encoder import BottomUp
from mrvae.models.image import ImageFrame
from mrvae.models.loss import Bound, Loss
from mrvae.models.top import Above, NoTop, Top
from mrvae.models.walk import Choose, Shape, Step, from_posterior, from_prior, given

Latents = tuple[Tensor, ...]


class HVAE(nn.Module):
    """A top-down hierarchical VAE over uint8 images.

    Args:
        encoder: normalised images (B, C, S, S) → one feature for each latent, coarse to fine.
        decoder: the rungs and their walk.
        head: the last state → a distribution of the image.
        frame: the image's place in the network.
        top: what stands above the coarsest latent; nothing by default.
        loss: whose slope the bound has; its own by default.

    Example:
        >>> import mrvae
        >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
        >>> x = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
        >>> elbo = model.elbo(x)
        >>> elbo.value.shape == (2,) and elbo.kl.shape == (2, model.stochastic_depth)
        True
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: Decoder,
        head: nn.Module,
        frame: ImageFrame,
        top: Top | None = None,
        loss: Loss | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.frame = frame
        self.top: Top = NoTop(len(decoder.rungs)) if top is None else top
        self.loss: Loss = Bound() if loss is None else loss

    # ------------------------------------------------------------------------------- the bound

    def forward(
        self, x: Tensor, noise: Tensor, term: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the tensors of :meth:`elbo`; a tuple, so that wrappers can handle it.

        With ``term``, int64 (B,), the context's bound is estimated by that one of its terms.
        """
        return self.terms(self.features(x), x, noise, term)

    def terms(
        self, features: Sequence[Tensor], x: Tensor, noise: Tensor, term: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return log p(x | z) (B,) and KL (B, layers) from the features of x."""
        above, (z, c) = self.top.encode(x), self._split(noise)
        h, steps = self.decoder.walk(features, self._all(from_posterior()), z, self.top.told(above))
        kl = divergences(steps, h)
        found, kl = self.loss.lend(x, h, steps, self._likelihood(h).log_prob(x), kl)
        return found, torch.cat([self.top.nats(above, c, term), kl], dim=1)

    def infer(self, x: Tensor, noise: Tensor) -> list[Step]:
        """Return every step of the walk on which :meth:`elbo` draws the latents of x."""
        z, _ = self._split(noise)
        told = self.top.told(self.top.encode(x))
        return self.decoder.walk(self.features(x), self._all(from_posterior()), z, told)[1]

    def elbo(self, x: Tensor, noise: Tensor | None = None) -> Elbo:
        """Return the one-sample bound of uint8 images x (B, C, H, W).

        KL(q‖p) is in closed form for each layer whose prior has one (``exact_kl``), else its
        estimate at the drawn z; both at the z of the layers above. A context, the first column, has
        minus the bound on its log p. ``noise`` is standard normal of shape
        (B, noise_size); drawn here if it is not given.

        Raises:
            ValueError: if x is not uint8 or has another shape.
        """
        self.frame.check(x)
        return Elbo(*self(x, self.noise(len(x)) if noise is None else noise))

    def log_weights(self, x: Tensor, samples: int, noise: Tensor | None = None) -> Tensor:
        """Return log p(x, z) - log q(z | x) at ``samples`` draws z ~ q, shape (samples, B).

        The image is encoded once. ``noise`` has shape (samples, B, noise_size). A context is the
        same in all samples, and so is its bound, from the noise of the first: a mean of weights
        leaves it as it is, for a mean of several bounds would be no bound.

        Raises:
            ValueError: if samples is not positive, or x is not a batch of the model's images.
        """
        if samples < 1:
            raise ValueError(f"samples is {samples}; at least one is needed")
        self.frame.check(x)
        features = self.features(x)
        if noise is None:
            noise = self.noise(samples * len(x)).view(samples, len(x), -1)
        z, c = self._split(noise)
        nats = self.top.nats(self.top.encode(x), c[0], None)
        return self.weigh(features, x, z) - nats.sum(dim=1)

    def weigh(self, features: Sequence[Tensor], x: Tensor, noise: Tensor) -> Tensor:
        """Return :meth:`log_weights` but for the context's own number.

        ``features`` are those of x, and ``noise`` is (K, B, decoder.noise_size).
        """
        log_likelihood, steps = self.drawn(features, x, noise)
        return (log_likelihood + log_ratio(steps, log_likelihood)).view(len(noise), len(x))

    def drawn(
        self, features: Sequence[Tensor], x: Tensor, noise: Tensor
    ) -> tuple[Tensor, list[Step]]:
        """Return log p(x | z), of shape (K·B,), and the steps of K draws z ~ q for each image.

        The arguments are those of :meth:`weigh`. Draw k of image b stands in row k·B + b.
        """
        samples = len(noise)
        told = [
            None if words is None else torch.cat([words] * samples)
            for words in self.top.told(self.top.encode(x))
        ]
        h, steps = self.decoder.walk(
            _repeat(features, samples), self._all(from_posterior()), noise.flatten(0, 1), told
        )
        return self._likelihood(h).log_prob(x.repeat(samples, 1, 1, 1)), steps

    # ---------------------------------------------------------------------- images and latents

    def sample(
        self,
        n: int,
        temperature: float | Sequence[float] = 1.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return n images x ~ p(x | z), z ~ p(z): uint8 (n, C, H, W).

        ``temperature`` multiplies the prior's standard deviations: one number, or one for each
        resolution, coarse to fine. A context is drawn as it is.

        Raises:
            ValueError: if n is not positive or a temperature is negative.
        """
        return self.draw(n, temperature, generator).sample(generator)

    def draw(
        self,
        n: int,
        temperature: float | Sequence[float] = 1.0,
        generator: torch.Generator | None = None,
    ) -> PixelDistribution:
        """Return p(x | z) for n draws z ~ p(z); its mean is the smooth picture of a sample."""
        if n < 1:
            raise ValueError(f"n is {n}; at least one image must be asked for")
        return self._descend((), n, temperature, generator)

    def encode(
        self, x: Tensor, temperature: float = 0.0, generator: torch.Generator | None = None
    ) -> Latents:
        """Return latents of x, coarse to fine: posterior means, or draws at a temperature.

        At temperature 0 every z_l is the mean of q(z_l | z_<l, x) given the means above it. A
        context comes first, as int64 levels.

        Raises:
            ValueError: if x is not a batch of the model's images or the temperature is negative.
        """
        self.frame.check(x)
        choices = self._all(from_posterior(_temperature(temperature)))
        above, noise = self.top.encode(x), self._latent_noise(len(x), generator)
        _, steps = self.decoder.walk(self.features(x), choices, noise, self.top.told(above))
        return (*above, *(step.z for step in steps))

    def decode(
        self,
        latents: Sequence[Tensor],
        temperature: float | Sequence[float] = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the mean image given the top latents, rounded to levels: uint8 (B, C, H, W).

        Latents that are not given come from the prior, at ``temperature``.

        Raises:
            ValueError: if a latent has not the shape of its layer, or none is given.
        """
        mean = self.likelihood(latents, temperature, generator).mean()
        return mean.round().to(torch.uint8)

    def likelihood(
        self,
        latents: Sequence[Tensor],
        temperature: float | Sequence[float] = 0.0,
        generator: torch.Generator | None = None,
    ) -> PixelDistribution:
        """Return p(x | z) given the top latents, the rest from the prior at ``temperature``."""
        self._check_latents(latents)
        return self._descend(latents, len(latents[0]), temperature, generator)

    def reconstruct(
        self,
        x: Tensor,
        keep: int | None = None,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return x as its top ``keep`` latents tell it (all of them by default).

        Kept latents are posterior means; the rest come from the prior at ``temperature``.

        Raises:
            ValueError: if keep is not in 1 … stochastic_depth.
        """
        return self.decode(self.encode(x)[: self.check_keep(keep)], temperature, generator)

    # ------------------------------------------------------------------------------- its parts

    def keep_no_activations(self) -> None:
        """Compute blocks and cells again for the backward pass instead of keeping their inside."""
        for module in self.modules():
            if isinstance(module, BottomUp | Decoder):
                module.recompute = True

    @property
    def stochastic_depth(self) -> int:
        """Number of latents, every visit of a shared cell and a context counted."""
        return len(self.shapes)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape (C, H, W) of every latent, a context first, then coarse to fine."""
        return self.top.shapes + self.decoder.shapes

    @property
    def noise_size(self) -> int:
        """Number of normals that the bound of one image takes: of its latents, then its context."""
        return self.decoder.noise_size + self.top.noise_size

    def features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Return the encoder's features of images x: uint8, or real numbers for a gradient in x."""
        weight = next(self.parameters())
        features: tuple[Tensor, ...] = self.encoder(self.frame.prepare(x, weight.dtype))
        return features

    def noise(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Return standard normal noise (n, noise_size) on the model's device."""
        return self._normal(n, self.noise_size, generator)

    def check_keep(self, keep: int | None) -> int:
        """Return how many top latents ``keep`` names, or refuse it."""
        if keep is None:
            return self.stochastic_depth
        if not 1 <= keep <= self.stochastic_depth:
            raise ValueError(
                f"keep is {keep}; this model has {self.stochastic_depth} latents, "
                "so keep 1 or more of them and at most all"
            )
        return keep

    def _normal(self, n: int, count: int, generator: torch.Generator | None) -> Tensor:
        weight = next(self.parameters())
        return torch.randn(
            (n, count), generator=generator, dtype=weight.dtype, device=weight.device
        )

    def _latent_noise(self, n: int, generator: torch.Generator | None) -> Tensor:
        """Return noise of the latents alone, (n, decoder.noise_size)."""
        return self._normal(n, self.decoder.noise_size, generator)

    def _split(self, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Cut noise (…, noise_size) into that of the latents and that of the context."""
        latents = noise.shape[-1] - self.top.noise_size
        return noise[..., :latents], noise[..., latents:]

    def _all(self, choose: Choose) -> list[Choose]:
        return [choose] * len(self.decoder.shapes)

    def _likelihood(self, h: Tensor) -> PixelDistribution:
        distribution: PixelDistribution = self.head(h)
        return distribution

    def _descend(
        self,
        latents: Sequence[Tensor],
        n: int,
        temperature: float | Sequence[float],
        generator: torch.Generator | None,
    ) -> PixelDistribution:
        """Walk with the top latents given and the rest from the prior."""
        free = [from_prior(t) for t in self._temperatures(temperature)]
        count = len(self.top.shapes)
        above: Above = tuple(latents[:count]) or self.top.sample(n, generator)
        below = latents[count:]
        choices = [given(z) for z in below] + free[len(below) :]
        noise = self._latent_noise(n, generator)
        h, _ = self.decoder.walk(None, choices, noise, self.top.told(above))
        return self._likelihood(h)

    def _temperatures(self, temperature: float | Sequence[float]) -> list[float]:
        """Return one temperature for each latent."""
        rungs = self.decoder.rungs
        if isinstance(temperature, int | float):
            return [_temperature(temperature)] * len(self.decoder.shapes)
        if len(temperature) != len(rungs):
            raise ValueError(
                f"{len(temperature)} temperatures for {len(rungs)} resolutions; "
                "give one for all, or one for each, coarse to fine"
            )
        each = zip(rungs, temperature, strict=True)
        return [_temperature(t) for rung, t in each for _ in rung.shapes]

    def _check_latents(self, latents: Sequence[Tensor]) -> None:
        """Refuse latents that are not the first ones of this hierarchy."""
        shapes = self.shapes
        if not 1 <= len(latents) <= len(shapes):
            raise ValueError(f"{len(latents)} latents are given; this model has {len(shapes)}")
        for index, (z, shape) in enumerate(zip(latents, shapes, strict=False)):
            if tuple(z.shape) != (*latents[0].shape[:1], *shape):
                raise ValueError(
                    f"latent {index} has shape {tuple(z.shape)}; expected (B, *{shape})"
                )
            levels = index < len(self.top.shapes)
            dtype = torch.int64 if levels else next(self.parameters()).dtype
            if z.dtype != dtype:
                kind = "levels of a context" if levels else "the type of the weights"
                raise ValueError(f"latent {index} is {z.dtype}; give it {dtype}, {kind}")


def _repeat(features: Sequence[Tensor], times: int) -> list[Tensor]:
    """Repeat a batch ``times`` over; a tensor that stands for many cells is repeated once."""
    distinct = {id(feature): feature for feature in features}
    # Unlike repeat, cat keeps the channels where the convolutions want them.
    repeated = {key: torch.cat([feature] * times) for key, feature in distinct.items()}
    return [repeated[id(feature)] for feature in features]


def _temperature(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError(f"temperature is {value}; it must be a number of at least 0")
    return float(value)


def divergences(steps: Sequence[Step], like: Tensor) -> Tensor:
    """Return KL(q‖p) of every step, or its estimate, summed over its latent: (B, layers).

    ``like`` is (B, …), and says how many images there are where there is no step.
    """
    columns = [
        sum_per_image(step.prior.kl_from(step.posterior, step.z))
        for step in steps
        if step.posterior is not None
    ]
    return torch.stack(columns, dim=1) if columns else like.new_zeros(len(like), 0)


def log_ratio(steps: Sequence[Step], like: Tensor) -> Tensor:
    """Return log p(z) - log q(z | x) at the drawn z: (B,), as ``like`` is."""
    ratios = [
        sum_per_image(step.prior.log_prob(step.z) - step.posterior.log_prob(step.z))
        for step in steps
        if step.posterior is not None
    ]
    return torch.stack(ratios).sum(dim=0) if ratios else torch.zeros_like(like)
