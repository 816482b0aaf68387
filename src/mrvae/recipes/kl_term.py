"""What a recipe may say of the KL in its loss: warm-up, free nats and balance.

All of them change what a run follows, and none what is reported of it, which is the bound.
"""

from __future__ import annotations

from mrvae.recipes.validation import LONGEST, Spec, real, require, within


class KlTerm(Spec, frozen=True):
    """What the training loss makes of the latents' KL; the reported bound is another matter.

    β rises from ``beta_start`` to 1 over the first ``beta_steps`` steps. A latent's KL below
    ``free_nats`` costs as much as if it were so large. With ``balance``, while β is below 1, a
    latent's KL counts the more the more nats each of its values carries.
    """

    beta_steps: int = 0
    beta_start: float = 0.0
    free_nats: float = 0.0
    balance: bool = False

    def __post_init__(self) -> None:
        within(self, 0, LONGEST, "beta_steps")
        within(self, 0, 1, "beta_start")
        real(self, "free_nats")
        free = self.free_nats
        require(free >= 0, f"free_nats is {free}; it must not be negative")
        rises = self.beta_steps > 0 or not self.balance
        require(rises, "balance is true, but beta_steps is 0; balancing ends when β reaches 1")
