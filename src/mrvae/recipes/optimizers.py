"""What a recipe may say of its optimiser."""

from __future__ import annotations

from mrvae.recipes.validation import Choice, positive, real, require, within


class AdamW(Choice, frozen=True, tag="adamw"):
    """Adam with decoupled weight decay; the published VDVAE sets both betas to 0.9."""

    rate: float = 2e-4
    beta1: float = 0.9
    beta2: float = 0.9
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        _check_moments(self)


class Adamax(Choice, frozen=True, tag="adamax"):
    """Adam with an infinity norm, as Efficient-VDVAE and NVAE use it."""

    rate: float = 1e-3
    beta1: float = 0.9
    beta2: float = 0.999
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        _check_moments(self)


class Muon(Choice, frozen=True, tag="muon"):
    """Muon for the weights of layers, and AdamW for all others (Jordan et al. 2024).

    ``rate`` is Muon's, and AdamW's is ``adamw_share`` of it. ``rate`` is given for updates of the
    size of AdamW's (Liu et al. 2025), as is ``weight_decay``, which both have.
    """

    rate: float = 1e-2
    momentum: float = 0.95
    beta1: float = 0.9
    beta2: float = 0.95
    adamw_share: float = 0.3
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        _check_moments(self)
        within(self, 0, 1, "adamw_share")


def _check_moments(optimizer: AdamW | Adamax | Muon) -> None:
    positive(optimizer, "rate")
    momenta = ("momentum",) if isinstance(optimizer, Muon) else ()
    for name in (*momenta, "beta1", "beta2"):
        value = getattr(optimizer, name)
        require(0 <= value < 1, f"{name} is {value}; it must be in [0, 1)")
    real(optimizer, "weight_decay")
    decay = optimizer.weight_decay
    require(decay >= 0, f"weight_decay is {decay}; it must not be negative")


Optimizer = AdamW | Adamax | Muon
