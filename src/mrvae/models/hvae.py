"""The hierarchical VAE: its bound, its samples and reconstructions, its latents.

Everything here calls one method, :meth:`HVAE.trace`, which descends the hierarchy once. Latents are
tuples of tensors (B, C, H, W), coarse to fine, one for each stochastic layer. Where the model has a
context, its codes, int64, are the first latent: the first column of the bound, the first latent
that a partial reconstruction keeps, and the first that is drawn for a sample.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from mrvae.distributions import PixelDistribution
from mrvae.models.context.conditioner import Conditioner, NoContext
from mrvae.models.elbo import Elbo
from mrvae.models.hierarchy.decoder import Decoder
from mrvae.models.hierarchy.encoder import BottomUp
from mrvae.models.hierarchy.walk import (
    Choose,
    Shape,
    Stage,
    Step,
    descend,
    from_posterior,
    from_prior,
    given,
)
from mrvae.models.image import ImageFrame
from mrvae.models.objective import BoundObjective, Objective
from mrvae.models.trace import Latents, Observation, Trace, check_latents


class HVAE(nn.Module):
    """A top-down hierarchical VAE over uint8 images.

    Args:
        encoder: normalised images (B, C, H, W) → one feature for each latent, coarse to fine.
        decoder: the stages and their walk.
        head: the last state → a distribution of the image.
        frame: the image's place in the network.
        context: the latent above the coarsest one that is a function of the image; none by default.
        objective: what training minimises; the bound by default.

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
        context: Conditioner | None = None,
        objective: Objective | None = None,
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.head = head
        self.frame = frame
        self.context: Conditioner = context or NoContext(len(decoder.stages))
        self.objective: Objective = objective or BoundObjective()

    def observe(self, x: Tensor, context: Latents | None = None) -> Observation:
        """Encode images x once: the encoder's features, the context and its conditioning.

        Args:
            x: images (B, C, H, W): uint8, or real numbers for a gradient in x.
            context: codes in place of those of x.
        """
        features = self.features(x)
        known = self.context.encode(x) if context is None else context
        return Observation(features, known, tuple(self.context.conditioning(known)))

    def features(self, x: Tensor) -> Latents:
        """Return the encoder's features of images x, one for each latent, coarse to fine."""
        features: Latents = self.encoder(self.frame.prepare(x, self._weight.dtype))
        return features

    def condition(self, context: Latents) -> Observation:
        """Return the observation of a context without features, for draws from the prior."""
        return Observation((), context, tuple(self.context.conditioning(context)))

    def trace(
        self,
        observed: Observation,
        choices: Choose | Sequence[Choose],
        noise: Tensor,
        wrap: Callable[[Stage], Stage] | None = None,
    ) -> Trace:
        """Descend the hierarchy once: the one walk that everything else calls.

        Args:
            observed: of the batch; without features there are no posteriors.
            choices: how each latent is chosen, coarse to fine, or one for all of them.
            noise: standard normal, (B, latent_noise_size) or (B, noise_size).
            wrap: applied to every stage, such as one that cuts the batch into parts.

        Raises:
            ValueError: if there is not one choice for each latent, or the noise has another size.

        Example:
            >>> import mrvae
            >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
            >>> x = torch.zeros(2, 1, 8, 8, dtype=torch.uint8)
            >>> trace = model.trace(model.observe(x), from_posterior(), model.noise(2))
            >>> trace.likelihood.log_prob(x).shape, len(trace.steps)
            (torch.Size([2]), 7)
        """
        stages = self.decoder.stages if wrap is None else [wrap(s) for s in self.decoder.stages]
        each = [choices] * len(self.decoder.shapes) if callable(choices) else choices
        own = noise[..., : self.latent_noise_size]
        h, steps = self.decoder.walk(stages, observed.features, each, own, observed.conditioning)
        return Trace(observed.context, tuple(steps), h, self.head)

    def posterior_means(self, observed: Observation, depth: int) -> tuple[Step, ...]:
        """Return the steps of the top ``depth`` latents below a context, each at q's mean.

        The walk goes no further than the resolution of the last of them.
        """
        stages: list[Stage] = []
        shapes: list[Shape] = []
        for stage in self.decoder.stages:
            if len(shapes) < depth:
                stages.append(stage)
                shapes += stage.shapes
        if not stages:
            return ()
        features = observed.features[: len(shapes)]
        noise = [features[0].new_zeros(len(features[0]), *shape) for shape in shapes]
        means = [from_posterior(0.0)] * len(shapes)
        _, steps = descend(stages, features, means, noise, observed.conditioning[: len(stages)])
        return tuple(steps[:depth])

    def pixels(self, h: Tensor) -> PixelDistribution:
        """Return p(x | z), the distribution of the image given the last state."""
        distribution: PixelDistribution = self.head(h)
        return distribution

    def forward(
        self, x: Tensor, noise: Tensor, term: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return the tensors of :meth:`elbo`; a tuple, so that wrappers can handle it.

        With ``term``, int64 (B,), the context's bound is estimated by that one of its terms.
        """
        return self.terms(self.observe(x), x, noise, term)

    def terms(
        self, observed: Observation, x: Tensor, noise: Tensor, term: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return log p(x | z) (B,) and KL (B, layers) of images that are encoded already."""
        trace = self.trace(observed, from_posterior(), noise)
        kl = trace.kl()
        log_likelihood = trace.likelihood.log_prob(x)
        log_likelihood, kl = self.objective.surrogate_terms(x, trace, log_likelihood, kl)
        nats = self.context.nats(observed.context, noise, term)
        return log_likelihood, torch.cat([nats, kl], dim=1)

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
        same in all samples, and so is its bound, from the noise of the first: its mean over samples
        would be no bound.

        Raises:
            ValueError: if samples is not positive, or x is not a batch of the model's images.
        """
        if samples < 1:
            raise ValueError(f"samples is {samples}; at least one is needed")
        self.frame.check(x)
        observed = self.observe(x)
        if noise is None:
            noise = self.noise(samples * len(x)).view(samples, len(x), -1)
        nats = self.context.nats(observed.context, noise[0], None)
        log_likelihood, trace = self.importance_draws(observed, x, noise)
        weights = log_likelihood + trace.log_ratio()
        return weights.view(samples, len(x)) - nats.sum(dim=1)

    def importance_draws(
        self, observed: Observation, x: Tensor, noise: Tensor
    ) -> tuple[Tensor, Trace]:
        """Return log p(x | z), of shape (K·B,), and the trace of K draws z ~ q for each image.

        ``noise`` is (K, B, latent_noise_size) or more; draw k of image b is row k·B + b.
        """
        samples = len(noise)
        trace = self.trace(observed.repeat(samples), from_posterior(), noise.flatten(0, 1))
        return trace.likelihood.log_prob(x.repeat(samples, 1, 1, 1)), trace

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
            raise ValueError(f"n is {n}; draw at least one image")
        return self._generate((), n, temperature, generator)

    def encode(
        self, x: Tensor, temperature: float = 0.0, generator: torch.Generator | None = None
    ) -> Latents:
        """Return latents of x, coarse to fine: posterior means, or draws at a temperature.

        At temperature 0 every z_l is the mean of q(z_l | z_<l, x) given the means above it. A
        context comes first, as int64 codes.

        Raises:
            ValueError: if x is not a batch of the model's images or the temperature is negative.
        """
        self.frame.check(x)
        choose = from_posterior(_temperature(temperature))
        noise = self._normal(len(x), self.latent_noise_size, generator)
        return self.trace(self.observe(x), choose, noise).latents

    def decode(
        self,
        latents: Sequence[Tensor],
        temperature: float | Sequence[float] = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the mean image given the top latents, rounded to pixel values: uint8 (B, C, H, W).

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
        check_latents(latents, self.shapes, len(self.context.shapes), self._weight.dtype)
        return self._generate(latents, len(latents[0]), temperature, generator)

    def reconstruct(
        self,
        x: Tensor,
        keep: int | None = None,
        temperature: float = 0.0,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Return the reconstruction of x from its top ``keep`` latents (all of them by default).

        Kept latents are posterior means; the rest come from the prior at ``temperature``.

        Raises:
            ValueError: if keep is not in 1 … stochastic_depth.
        """
        return self.decode(self.encode(x)[: self.check_keep(keep)], temperature, generator)

    def enable_activation_checkpointing(self) -> None:
        """Recompute blocks and cells in the backward pass instead of storing their activations."""
        for module in self.modules():
            if isinstance(module, BottomUp | Decoder):
                module.activation_checkpointing = True

    def latent_values(self, latents: Latents) -> Latents:
        """Return latents as real numbers: a context's codes as values on [-1, 1]."""
        count = len(self.context.shapes)
        return (*self.context.values(latents[:count]), *latents[count:])

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The resolutions of the hierarchy, coarse to fine."""
        return self.decoder.stages

    @property
    def stochastic_depth(self) -> int:
        """Number of latents, every visit of a shared cell and a context counted."""
        return len(self.shapes)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """Shape (C, H, W) of every latent, a context first, then coarse to fine."""
        return self.context.shapes + self.latent_shapes

    @property
    def latent_shapes(self) -> tuple[Shape, ...]:
        """Shape (C, H, W) of every latent that a cell draws, coarse to fine."""
        return self.decoder.shapes

    @property
    def noise_size(self) -> int:
        """Number of normals that the bound of one image takes: of its latents, then its context."""
        return self.latent_noise_size + self.context.noise_size

    @property
    def latent_noise_size(self) -> int:
        """Number of latent values of one image, a context not counted."""
        return self.decoder.noise_size

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
        like = self._weight
        return torch.randn((n, count), generator=generator, dtype=like.dtype, device=like.device)

    @property
    def _weight(self) -> Tensor:
        """Any weight, for its device and type."""
        return next(self.parameters())

    def _generate(
        self,
        latents: Sequence[Tensor],
        n: int,
        temperature: float | Sequence[float],
        generator: torch.Generator | None,
    ) -> PixelDistribution:
        """Descend with the top latents given and the rest from the prior."""
        free = [from_prior(t) for t in self._temperatures(temperature)]
        count = len(self.context.shapes)
        context = tuple(latents[:count]) or self.context.sample(n, generator)
        below = latents[count:]
        choices = [given(z) for z in below] + free[len(below) :]
        noise = self._normal(n, self.latent_noise_size, generator)
        return self.trace(self.condition(context), choices, noise).likelihood

    def _temperatures(self, temperature: float | Sequence[float]) -> list[float]:
        """Return one temperature for each latent."""
        if isinstance(temperature, int | float):
            return [_temperature(temperature)] * len(self.latent_shapes)
        if len(temperature) != len(self.stages):
            raise ValueError(
                f"{len(temperature)} temperatures for {len(self.stages)} resolutions; "
                "give one for all, or one for each, coarse to fine"
            )
        pairs = zip(self.stages, temperature, strict=True)
        return [_temperature(t) for stage, t in pairs for _ in stage.shapes]


def _temperature(value: float) -> float:
    if not 0 <= value < float("inf"):
        raise ValueError(f"temperature is {value}; it must be a number of at least 0")
    return float(value)
