"""The optimisers, AdamW and Adamax of the papers and Muon, and the schedule of the learning rate.

The rate rises linearly over the warm-up, the first step taking 1/warmup of it, and then stays or
falls along half a cosine, to ``final`` times its peak at the last step.

Muon (Jordan et al. 2024) takes the weight of a layer as a matrix, inputs and kernel in its columns,
and replaces the singular values of its momentum by values near 1, with the polynomial

    X ← a X + (b A + c A²) X,    A = X Xᵀ,    (a, b, c) = (3.4445, -4.7750, 2.0315),

applied five times to X = M / ‖M‖. With a factor 0.2 √max(rows, columns) its entries are as large
as those of an update of AdamW (Liu et al. 2025, equation 4). Weights that are no matrix, such as
biases, or that have fewer than eight rows or columns, are left to AdamW. ``torch.optim.Muon`` takes
only tensors of two dimensions, one by one, and computes in bfloat16, which many CPUs emulate; here
all matrices of one shape are a single product, in the precision of the weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from mrvae.recipes.optimizers import Adamax, AdamW, Muon, Optimizer
from mrvae.recipes.schema import Constant, Cosine, Training
from mrvae.training.adam import ForeachAdamax, FusedAdamW

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5
_FEWEST = 8
_SIZE_OF_ADAMW = 0.2
_SMALLEST = 1e-7
_MOMENTUM = "momentum"


def make_optimizer(spec: Optimizer, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
    """Return the optimiser of a recipe over ``parameters``."""
    betas = (spec.beta1, spec.beta2)
    match spec:
        case AdamW(rate=rate, weight_decay=decay):
            return FusedAdamW(parameters, rate, betas, weight_decay=decay)
        case Adamax(rate=rate, weight_decay=decay):
            return ForeachAdamax(parameters, rate, betas, weight_decay=decay)
        case Muon():
            return MuonOptimizer(parameters, spec)


class MuonOptimizer(torch.optim.Optimizer):
    """Muon for matrices, AdamW for all other weights.

    Args:
        parameters: all of them.
        spec: the recipe's values.

    Source: Jordan et al. 2024, https://kellerjordan.github.io/posts/muon.

    Example:
        >>> weight = nn.Parameter(torch.zeros(8, 2, 2, 2))
        >>> optimizer = MuonOptimizer([weight], Muon(rate=0.1))
        >>> weight.grad = torch.eye(8).reshape(8, 2, 2, 2)
        >>> optimizer.step()
        >>> 0.1 * 0.2 * 8**0.5 * 0.68 < -weight[0, 0, 0, 0].item() < 0.1 * 0.2 * 8**0.5 * 1.14
        True
    """

    def __init__(self, parameters: Iterable[nn.Parameter], spec: Muon) -> None:
        weights = list(parameters)
        super().__init__(weights, {"lr": spec.rate})
        self.spec = spec
        self.matrices: dict[tuple[int, int], list[nn.Parameter]] = {}
        for weight in filter(is_matrix, weights):
            shape = len(weight), weight[0].numel()
            self.matrices.setdefault(shape, []).append(weight)
        others = [weight for weight in weights if not is_matrix(weight)]
        self.adamw = self._adamw(others) if others else None

    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """Update the weights that have a gradient."""
        rate = float(self.param_groups[0]["lr"])
        if self.adamw is not None:
            set_rate(self.adamw, rate * self.spec.adamw_share)
            self.adamw.step()
        with torch.no_grad():
            for weights in self.matrices.values():
                learnt = [weight for weight in weights if weight.grad is not None]
                if learnt:
                    self._update(learnt, rate)

    def _update(self, weights: Sequence[nn.Parameter], rate: float) -> None:
        """Update matrices of one shape."""
        momentum, shape = self.spec.momentum, weights[0].shape
        gradients = [weight.grad for weight in weights if weight.grad is not None]
        momenta = [self._momentum(weight) for weight in weights]
        torch._foreach_lerp_(momenta, gradients, 1 - momentum)
        ahead = torch._foreach_lerp(gradients, momenta, momentum)
        updates = orthogonalised(torch.stack([tensor.flatten(1) for tensor in ahead]))
        factor = _SIZE_OF_ADAMW * math.sqrt(max(updates.shape[1:]))
        torch._foreach_mul_(list(weights), 1 - rate * self.spec.weight_decay)
        for weight, update in zip(weights, updates, strict=True):
            weight.add_(update.view(shape), alpha=-rate * factor)

    def _momentum(self, weight: nn.Parameter) -> Tensor:
        state: dict[str, Tensor] = self.state[weight]
        if not state:
            state[_MOMENTUM] = torch.zeros_like(weight)
        return state[_MOMENTUM]

    def _adamw(self, weights: Sequence[nn.Parameter]) -> FusedAdamW:
        """Return the optimiser of the other weights, whose state is part of this one's."""
        betas, decay = (self.spec.beta1, self.spec.beta2), self.spec.weight_decay
        adamw = FusedAdamW(weights, self.spec.rate, betas, decay)
        adamw.state = self.state
        return adamw


def state_keys(
    optimizer: torch.optim.Optimizer, weight: Tensor, keys: Sequence[str]
) -> Sequence[str]:
    """Return which tensors of an optimiser's state, of all its keys, it keeps for a weight.

    Example:
        >>> weights = [nn.Parameter(torch.zeros(8, 8)), nn.Parameter(torch.zeros(8))]
        >>> keys = ["exp_avg", "exp_avg_sq", "momentum", "step"]
        >>> [state_keys(MuonOptimizer(weights, Muon()), weight, keys) for weight in weights]
        [['momentum'], ['exp_avg', 'exp_avg_sq', 'step']]
    """
    if not isinstance(optimizer, MuonOptimizer):
        return keys
    return [key for key in keys if (key == _MOMENTUM) == is_matrix(weight)]


def is_matrix(weight: Tensor) -> bool:
    """Return whether a weight is that of a layer with at least eight inputs and eight outputs.

    Example:
        >>> is_matrix(torch.zeros(8, 1, 3, 3)), is_matrix(torch.zeros(1, 64, 8, 8))
        (True, False)
    """
    return weight.dim() > 1 and min(len(weight), weight[0].numel()) >= _FEWEST


def orthogonalised(matrices: Tensor) -> Tensor:
    """Return matrices (N, rows, columns) with their singular values moved into 0.68 … 1.14.

    Singular values below about a thousandth of the Frobenius norm stay smaller than that.

    Example:
        >>> moved = orthogonalised(torch.diag(torch.tensor([3.0, 0.5]))[None])[0]
        >>> bool((moved.diag() > 0.68).all()), bool((moved.diag() < 1.14).all())
        (True, True)
    """
    a, b, c = _COEFFICIENTS
    tall = matrices.shape[1] > matrices.shape[2]
    x = matrices.mT if tall else matrices
    x = x / (x.norm(dim=(1, 2), keepdim=True) + _SMALLEST)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        polynomial = torch.baddbmm(gram, gram, gram, beta=b, alpha=c)
        x = torch.baddbmm(x, polynomial, x, beta=a)
    return x.mT if tall else x


def rate_factor(training: Training, step: int) -> float:
    """Return what the optimiser's rate is multiplied by at ``step``, counted from 0.

    Example:
        >>> training = Training(steps=110, batch=1, warmup=10, schedule=Cosine(final=0.5))
        >>> [round(rate_factor(training, step), 3) for step in (0, 9, 60, 109)]
        [0.1, 1.0, 0.746, 0.5]
    """
    if step < training.warmup:
        return (step + 1) / training.warmup
    match training.schedule:
        case Constant():
            return 1.0
        case Cosine(final):
            last = max(training.steps - 1 - training.warmup, 1)
            done = min((step - training.warmup) / last, 1.0)
            return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * done))


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Set the rate of every parameter group."""
    for group in optimizer.param_groups:
        group["lr"] = rate
