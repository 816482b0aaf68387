"""AdamW and Adamax by torch's functions, in classes that do not import torch's compiler.

``torch.optim.AdamW`` and ``Adamax`` import ``torch._dynamo`` when they are made, which takes as
long as half of ``import torch``. The updates here are the same functions with the same arguments,
and so are the states.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.adamax import adamax
from torch.optim.adamw import adamw

_EPSILON = 1e-8


class _Adam(torch.optim.Optimizer, ABC):
    """What both share: groups, gradients, and the state of a weight.

    Attributes:
        moments: names of the two moments in a weight's state.
    """

    moments: tuple[str, str]

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        rate: float,
        betas: tuple[float, float],
        weight_decay: float,
    ) -> None:
        super().__init__(parameters, {"lr": rate, "betas": betas, "weight_decay": weight_decay})

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add weights, with the defaults for what the group does not set."""
        given = param_group["params"]
        weights = [given] if isinstance(given, Tensor) else list(given)
        self.param_groups.append({**self.defaults, **param_group, "params": weights})

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, or set them to zero."""
        for group in self.param_groups:
            for weight in group["params"]:
                if set_to_none or weight.grad is None:
                    weight.grad = None
                else:
                    weight.grad.detach_().zero_()

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the weights that have a gradient."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            states = [self._state(weight) for weight in weights]
            first, second = ([state[name] for state in states] for name in self.moments)
            steps = [state["step"] for state in states]
            gradients = [weight.grad for weight in weights]
            self._update(group, weights, gradients, first, second, steps)

    def _state(self, weight: Tensor) -> dict[str, Tensor]:
        """Return the state of a weight, which begins with zeros."""
        state: dict[str, Tensor] = self.state[weight]
        if not state:
            state["step"] = self._first_step(weight)
            for name in self.moments:
                state[name] = torch.zeros_like(weight, memory_format=torch.preserve_format)
        return state

    @abstractmethod
    def _first_step(self, weight: Tensor) -> Tensor:
        """Return the count of updates of a weight that had none."""

    @abstractmethod
    def _update(self, group: dict[str, Any], *lists: list[Tensor]) -> None:
        """Update weights by gradients, both moments and counts."""


class FusedAdamW(_Adam):
    """AdamW (Loshchilov & Hutter 2019), one kernel for all weights.

    Example:
        >>> weight = nn.Parameter(torch.ones(1))
        >>> optimizer = FusedAdamW([weight], 0.1, (0.9, 0.999), weight_decay=0.0)
        >>> weight.grad = torch.ones(1)
        >>> optimizer.step()
        >>> weight.detach()
        tensor([0.9000])
    """

    moments = ("exp_avg", "exp_avg_sq")

    def _first_step(self, weight: Tensor) -> Tensor:
        return torch.zeros((), dtype=torch.float32, device=weight.device)

    def _update(self, group: dict[str, Any], *lists: list[Tensor]) -> None:
        weights, gradients, first, second, steps = lists
        beta1, beta2 = group["betas"]
        adamw(
            *(weights, gradients, first, second, [], steps),
            fused=True,
            amsgrad=False,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
            eps=_EPSILON,
            maximize=False,
        )


class ForeachAdamax(_Adam):
    """Adamax (Kingma & Ba 2015, section 7.1), one call per operation for all weights.

    Example:
        >>> weight = nn.Parameter(torch.ones(1))
        >>> optimizer = ForeachAdamax([weight], 0.1, (0.9, 0.999), weight_decay=0.0)
        >>> weight.grad = torch.ones(1)
        >>> optimizer.step()
        >>> weight.detach()
        tensor([0.9000])
    """

    moments = ("exp_avg", "exp_inf")

    def _first_step(self, weight: Tensor) -> Tensor:
        return torch.tensor(0.0, dtype=torch.float32)

    def _update(self, group: dict[str, Any], *lists: list[Tensor]) -> None:
        weights, gradients, first, second, steps = lists
        beta1, beta2 = group["betas"]
        adamax(
            *(weights, gradients, first, second, steps),
            foreach=True,
            eps=_EPSILON,
            beta1=beta1,
            beta2=beta2,
            lr=group["lr"],
            weight_decay=group["weight_decay"],
        )
