"""What a prior of a latent must offer, whatever its family.

A latent is drawn from standard normal noise, so that a draw is a function of (seed, step, place)
only; its density is known; and its divergence from the posterior, a Gaussian, is known in closed
form, or estimated without bias at one draw. ``exact_kl`` says which of the two.
"""

from __future__ import annotations

from typing import Protocol

from torch import Tensor

from mrvae.distributions.gaussian import Gaussian


class Distribution(Protocol):
    """A distribution p(z) for each element of a latent."""

    @property
    def exact_kl(self) -> bool:
        """Whether :meth:`kl_from` is in closed form."""
        ...

    def log_prob(self, z: Tensor) -> Tensor:
        """Return log p(z) in nats for each element."""
        ...

    def kl_from(self, posterior: Gaussian, z: Tensor) -> Tensor:
        """Return KL(posterior ‖ self) in nats for each element.

        Where that has no closed form, log q(z) - log p(z) at the draw z ~ posterior, whose mean it
        is; elsewhere z is not looked at.
        """
        ...

    def sample(self, noise: Tensor, temperature: float | Tensor = 1.0) -> Tensor:
        """Return a draw from standard normal noise, its deviation multiplied by the temperature."""
        ...
