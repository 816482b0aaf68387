"""Theorem 3 in training: an autoencoder that pools by averages.

F_j and B_j are small residual networks on grey images of level j, x + C₃ g(C₂ g(C₁ x)) with 3×3
convolutions, which begin as the identity; between them stand average pooling and nearest neighbour.
All information has to pass the coarsest image, unless there are skip connections. The loss is

    ‖B_{1|J} F_{1|J} x - x‖² + λ Σ_j (‖B_j F_j x_j - x_j‖² + ‖F_j x̂_j - E x̂_{j-1}‖²),

the reconstruction error, which bounds W₂² from above, and with λ > 0 the hypothesis of theorem 3,
B_j = F_j⁻¹, on the way down and on the way up; no reconstruction error asks for it. Measured
over training are both sides of the theorem, the energy that each projection discards (the paper's
figure 1 in numbers), and how far B F is from 1. The Lipschitz constants are the largest singular
values of Jacobians at data, and so can only be too small; the left side, where one divides by them,
can only be too large.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from mrvae.papers.falck2022.bottleneck import Map, PooledUNet
from mrvae.papers.falck2022.compression import sides, sides_with_defect
from mrvae.papers.falck2022.transport import energy
from mrvae.resolution import Ladder

_LADDER = Ladder(base=1, depth=16)
_JACOBIANS = 32


class ResidualNet(nn.Module):
    """x + C₃ g(C₂ g(C₁ [x, …])) on one channel, the identity at first.

    Args:
        inputs: channels read; the residual is added to the first.
        width: channels inside.
    """

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inputs, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        self.third = nn.Conv2d(width, 1, 3, padding=1)
        for parameter in self.third.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for x of shape (B, inputs, H, W): (B, 1, H, W)."""
        inner = self.second(functional.gelu(self.first(x)))
        residual: Tensor = self.third(functional.gelu(inner))
        return x[:, :1] + residual


class Autoencoder(nn.Module):
    """The networks F_j and B_j of the levels 1 … J, coarse to fine.

    Args:
        depth: J.
        width: channels inside the networks.
        skip: whether B_j also reads y_j.

    Example:
        >>> net = Autoencoder(depth=2, width=4, skip=False)
        >>> x = torch.rand(1, 1, 8, 8)
        >>> blocks = Ladder(base=2, depth=2)
        >>> untrained = net.unet().reconstruct(x)
        >>> bool(torch.allclose(untrained, blocks.embed(blocks.project(x, 2), 2)))
        True
    """

    def __init__(self, depth: int, width: int, skip: bool) -> None:
        super().__init__()
        self.skip = skip
        self.forwards = nn.ModuleList(ResidualNet(1, width) for _ in range(depth))
        self.backwards = nn.ModuleList(ResidualNet(1 + skip, width) for _ in range(depth))

    def unet(self) -> PooledUNet:
        """Return the networks as the maps of theorem 3."""
        forwards = tuple(_map(net) for net in self.forwards)
        joins = tuple(self._join(net) for net in self.backwards)
        return PooledUNet(forwards, joins, _LADDER, dims=2)

    def _join(self, net: nn.Module) -> Callable[[Tensor, Tensor], Tensor]:
        def apply(embedded: Tensor, y: Tensor) -> Tensor:
            result: Tensor = net(torch.cat([embedded, y], dim=1) if self.skip else embedded)
            return result

        return apply


@dataclass(frozen=True)
class AutoencoderTraining:
    """How an autoencoder is trained.

    Args:
        steps: updates.
        width: channels inside the networks.
        skip: whether there are skip connections.
        inversion: λ, the weight of B_j = F_j⁻¹, of no effect with skip connections.
        depth: J.
        batch: images in an update.
        rate: learning rate of Adam.
        seed: of weights and batches.
    """

    steps: int
    width: int = 16
    skip: bool = False
    inversion: float = 0.0
    depth: int = 2
    batch: int = 100
    rate: float = 2e-3
    seed: int = 0


@dataclass(frozen=True)
class Snapshot:
    """Measurements at one step of training; energies are means over the images measured.

    Attributes:
        step: updates made.
        left: of theorem 3, with sampled constants L_j ⋯ L_J.
        left_with_defect: the same, less what B F ≠ 1 can explain; None with skip connections.
        right: W₂² of reconstructions and data.
        reconstruction: ‖B_{1|J} F_{1|J} x - x‖², an upper bound of ``right``.
        discarded: ‖proj_{U_{j-1}} y_j‖², coarse to fine.
        passing: ‖y_j‖², coarse to fine.
        inversion: Σ_j ‖B_j F_j x_j - x_j‖²; None with skip connections.
        constants: the sampled L_j.
    """

    step: int
    left: float
    left_with_defect: float | None
    right: float
    reconstruction: float
    discarded: tuple[float, ...]
    passing: tuple[float, ...]
    inversion: float | None
    constants: tuple[float, ...]


def measure_training(
    plan: AutoencoderTraining,
    train: Tensor,
    measured: Tensor,
    at: Sequence[int],
    progress: Callable[[str], None],
) -> list[Snapshot]:
    """Train an autoencoder and measure it at some steps.

    Args:
        plan: how to train.
        train: images (N, 1, S, S) on [0, 1], S a multiple of 2^depth.
        measured: images that both sides of theorem 3 are taken on.
        at: steps at which to measure, from 0 (untrained) to ``plan.steps``.
        progress: called with a line for every measurement.

    Raises:
        ValueError: if a step is not in 0 … steps.

    Source: Falck et al. 2022, theorem 3 and figure 1.

    Example:
        >>> images = torch.rand(20, 1, 4, 4)
        >>> plan = AutoencoderTraining(steps=0, width=2)
        >>> (one,) = measure_training(plan, images, images, [0], print)
        autoencoder, step 0: W₂² ...
        >>> one.inversion, abs(one.left - one.reconstruction) < 1e-9
        (0.0, True)
    """
    if not all(0 <= step <= plan.steps for step in at):
        raise ValueError(f"steps to measure at are {list(at)}; they must be in 0 … {plan.steps}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        net = Autoencoder(plan.depth, plan.width, plan.skip)
    optimizer = torch.optim.Adam(net.parameters(), lr=plan.rate)
    order = torch.Generator().manual_seed(plan.seed)
    found = []
    for step in range(plan.steps + 1):
        if step in at:
            found.append(snapshot(net, step, measured))
            progress(f"autoencoder, step {step}: W₂² {found[-1].right:.4f}")
        if step < plan.steps:
            chosen = torch.randint(len(train), (plan.batch,), generator=order)
            optimizer.zero_grad()
            _loss(net, train[chosen].float(), plan.inversion).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
    return found


@torch.no_grad()
def snapshot(net: Autoencoder, step: int, x: Tensor) -> Snapshot:
    """Measure an autoencoder on images x (N, 1, S, S), in double precision."""
    exact, x = copy.deepcopy(net).double(), x.double()
    unet = exact.unet()
    _, *outputs = unet.down(x)
    inputs = [*(_LADDER.project(y) for y in outputs[1:]), x]
    nets = zip(exact.forwards, inputs, strict=True)
    constants = tuple(sampled_constant(_map(f), part[:_JACOBIANS]) for f, part in nets)
    both = sides(unet, x, constants)
    without, inversion = _about_inverses(exact, x, constants)
    return Snapshot(
        step=step,
        left=both.left,
        left_with_defect=without,
        right=both.right,
        reconstruction=float(energy(unet.reconstruct(x) - x, dims=2).mean()),
        discarded=tuple(float(part.mean()) for part in unet.discarded(x)),
        passing=tuple(float(energy(y, dims=2).mean()) for y in outputs),
        inversion=inversion,
        constants=constants,
    )


def sampled_constant(map_: Map, x: Tensor) -> float:
    """Return the largest singular value of the Jacobians of a map at x (N, …).

    It is a lower bound of the Lipschitz constant; of an affine map it is the constant.

    Example:
        >>> x = torch.zeros(2, 1, 1, 2)
        >>> sampled_constant(lambda v: v * torch.tensor([2.0, 3.0]), x)
        3.0
    """
    jacobians = torch.func.vmap(torch.func.jacrev(lambda one: map_(one[None])[0]))(x)
    size = x[0].numel()
    return float(torch.linalg.matrix_norm(jacobians.reshape(len(x), size, size), 2).max())


def _about_inverses(
    net: Autoencoder, x: Tensor, constants: Sequence[float]
) -> tuple[float | None, float | None]:
    """Return the left side with the defect of B F, and ‖B F - 1‖², where there are no skips."""
    if net.skip:
        return None, None
    unet = net.unet()
    inversion = math.fsum(float(part.mean()) for part in unet.inversion_error(x))
    return sides_with_defect(unet, x, constants).left, inversion


def _loss(net: Autoencoder, x: Tensor, inversion: float) -> Tensor:
    """Return reconstruction error and, with a weight, the distance of B F from 1."""
    unet = net.unet()
    loss = energy(unet.reconstruct(x) - x, dims=2).mean()
    if inversion and not net.skip:
        parts = (*unet.inversion_error(x), *unet.defect(x))
        loss = loss + inversion * sum(part.mean() for part in parts)
    return loss


def _map(net: nn.Module) -> Map:
    def apply(x: Tensor) -> Tensor:
        result: Tensor = net(x)
        return result

    return apply
