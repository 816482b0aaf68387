"""The published VDVAE (Child 2021), transcribed plainly, for comparison with ours.

Written from the description of the published model and kept apart from the package: it imports
nothing of ours, and nothing of ours imports it. It is deliberately as slow and as plain as what
was published: NCHW, eager, the states in a dict keyed by their size in pixels, one convolution
after another, a concatenation before every posterior. Parameter names and shapes are those of
the published state dict, so that a checkpoint of one is a checkpoint of the other.

Two things are added. Noise may be given, one tensor per decoder block, so that two
implementations can be compared number by number; and beside the mixture of logistics there is a
Bernoulli head for the MNIST shapes (padded to 32 × 32, scored on the inner pixels), which the
published code does not have.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

CIFAR10_ENCODER = "32x11,32d2,16x6,16d2,8x6,8d2,4x3,4d4,1x3"
CIFAR10_DECODER = "1x1,4m1,4x2,8m4,8x5,16m8,16x10,32m16,32x21"
IMAGENET32_ENCODER = "32x15,32d2,16x9,16d2,8x8,8d2,4x6,4d4,1x6"
IMAGENET32_DECODER = "1x2,4m1,4x4,8m4,8x9,16m8,16x19,32m16,32x40"


def small_ladder(blocks: int) -> tuple[str, str]:
    """The encoder and decoder strings of the small studies, with `blocks` at each resolution."""
    n = blocks
    encoder = f"32x{n},32d2,16x{n},16d2,8x{n},8d2,4x{n},4d4,1x{n}"
    return encoder, f"1x{n},4m1,4x{n},8m4,8x{n},16m8,16x{n},32m16,32x{n}"


@dataclass(frozen=True)
class Hyperparameters:
    """What decides the shape of the network; the names follow the published ones."""

    enc_blocks: str
    dec_blocks: str
    width: int
    zdim: int
    image_channels: int
    image_size: int = 32
    custom_widths: Mapping[int, int] = field(default_factory=dict)
    bottleneck_multiple: float = 0.25
    no_bias_above: int = 64
    num_mixtures: int = 10
    low_bit: bool = False
    bernoulli: bool = False
    scored_size: int = 28

    def width_at(self, resolution: int) -> int:
        """Channels at a resolution."""
        return self.custom_widths.get(resolution, self.width)

    def middle_at(self, resolution: int) -> int:
        """Channels inside a block at a resolution."""
        return int(self.width_at(resolution) * self.bottleneck_multiple)


def mnist(blocks: int = 1) -> Hyperparameters:
    """MNIST padded to 32 × 32, as in the small study of Falck et al. (2022)."""
    encoder, decoder = small_ladder(blocks)
    return Hyperparameters(encoder, decoder, width=32, zdim=8, image_channels=1, bernoulli=True)


def cifar10(blocks: int = 1) -> Hyperparameters:
    """CIFAR-10, as in the small study of Falck et al. (2022)."""
    encoder, decoder = small_ladder(blocks)
    return Hyperparameters(encoder, decoder, width=384, zdim=16, image_channels=3)


def imagenet32() -> Hyperparameters:
    """ImageNet at 32 × 32, the whole published model."""
    return Hyperparameters(
        IMAGENET32_ENCODER, IMAGENET32_DECODER, width=512, zdim=16, image_channels=3
    )


def parse_blocks(text: str) -> list[tuple[int, int | None]]:
    """(resolution, pooling rate or coarser resolution) of each block, in order."""
    blocks: list[tuple[int, int | None]] = []
    for piece in text.split(","):
        if "x" in piece:
            resolution, count = map(int, piece.split("x"))
            blocks.extend([(resolution, None)] * count)
        elif "d" in piece or "m" in piece:
            resolution, other = map(int, piece.replace("m", "d").split("d"))
            blocks.append((resolution, other))
        else:
            blocks.append((int(piece), None))
    return blocks


def convolution(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    """A convolution that keeps the size, with PyTorch's initial weights and no initial bias."""
    made = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


class Block(nn.Module):
    """Four convolutions, each after a GELU: 1 × 1, then two of k × k, then 1 × 1."""

    def __init__(
        self,
        inputs: int,
        middle: int,
        outputs: int,
        resolution: int,
        *,
        residual: bool = False,
        down_rate: int | None = None,
    ) -> None:
        super().__init__()
        self.residual = residual
        self.down_rate = down_rate
        kernel = 3 if resolution > 2 else 1
        self.c1 = convolution(inputs, middle, 1)
        self.c2 = convolution(middle, middle, kernel)
        self.c3 = convolution(middle, middle, kernel)
        self.c4 = convolution(middle, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        h = x
        for layer in (self.c1, self.c2, self.c3, self.c4):
            h = layer(functional.gelu(h))
        if self.residual:
            h = x + h
        if self.down_rate is not None:
            h = functional.avg_pool2d(h, self.down_rate, self.down_rate)
        return h


@torch.no_grad()
def shrink(layer: nn.Conv2d, factor: float) -> None:
    """Multiply a convolution's weight in place."""
    layer.weight.mul_(factor)


class Encoder(nn.Module):
    """Bottom-up: the last activation of each resolution is what the decoder gets to see."""

    def __init__(self, H: Hyperparameters) -> None:
        super().__init__()
        self.H = H
        self.in_conv = convolution(H.image_channels, H.width, 3)
        self.enc_blocks = nn.ModuleList()
        blocks = parse_blocks(H.enc_blocks)
        for resolution, rate in blocks:
            width, middle = H.width_at(resolution), H.middle_at(resolution)
            block = Block(width, middle, width, resolution, residual=True, down_rate=rate)
            shrink(block.c4, math.sqrt(1 / len(blocks)))
            self.enc_blocks.append(block)

    def forward(self, x: Tensor) -> dict[int, Tensor]:
        h = self.in_conv(x)
        activations = {h.shape[2]: h}
        for block in self.enc_blocks:
            h = block(h)
            missing = self.H.width_at(h.shape[2]) - h.shape[1]
            if missing:
                h = functional.pad(h, (0, 0, 0, 0, 0, missing))
            activations[h.shape[2]] = h
        return activations


def gaussian_kl(mean_q: Tensor, mean_p: Tensor, log_q: Tensor, log_p: Tensor) -> Tensor:
    """KL of two Gaussians, element by element, from means and logarithms of scales."""
    squares = log_q.exp() ** 2 + (mean_q - mean_p) ** 2
    return -0.5 + log_p - log_q + 0.5 * squares / (log_p.exp() ** 2)


class DecBlock(nn.Module):
    """One stochastic layer: posterior, prior, projection of z, and a residual block."""

    def __init__(self, H: Hyperparameters, resolution: int, mixin: int | None, n: int) -> None:
        super().__init__()
        self.base, self.mixin, self.zdim = resolution, mixin, H.zdim
        self.width = H.width_at(resolution)
        width, middle = self.width, H.middle_at(resolution)
        self.enc = Block(2 * width, middle, 2 * H.zdim, resolution)
        self.prior = Block(width, middle, 2 * H.zdim + width, resolution)
        shrink(self.prior.c4, 0.0)
        self.z_proj = convolution(H.zdim, width, 1)
        shrink(self.z_proj, math.sqrt(1 / n))
        self.resnet = Block(width, middle, width, resolution, residual=True)
        shrink(self.resnet.c4, math.sqrt(1 / n))

    def incoming(self, xs: dict[int, Tensor], like: Tensor) -> Tensor:
        """The state at this resolution, with the coarser one added where there is a mixin."""
        size = (like.shape[0], self.width, self.base, self.base)
        x = xs[self.base] if self.base in xs else like.new_zeros(size)
        if x.shape[0] != like.shape[0]:
            x = x.repeat(like.shape[0], 1, 1, 1)
        if self.mixin is not None:
            coarse = xs[self.mixin][:, : self.width]
            x = x + functional.interpolate(coarse, scale_factor=float(self.base // self.mixin))
        return x

    def split_prior(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log scale of the prior, and the state after the prior's own residual."""
        features = self.prior(x)
        mean, log_scale = features[:, : self.zdim], features[:, self.zdim : 2 * self.zdim]
        return mean, log_scale, x + features[:, 2 * self.zdim :]

    def advance(self, x: Tensor, z: Tensor) -> Tensor:
        """The state after z has been written into it."""
        advanced: Tensor = self.resnet(x + self.z_proj(z))
        return advanced

    def forward(
        self, xs: dict[int, Tensor], activations: dict[int, Tensor], eps: Tensor | None
    ) -> Tensor:
        """Draw z from the posterior, write the new state into `xs`, and return the KL."""
        seen = activations[self.base]
        x = self.incoming(xs, seen)
        mean_q, log_q = self.enc(torch.cat([x, seen], dim=1)).chunk(2, dim=1)
        mean_p, log_p, x = self.split_prior(x)
        eps = torch.randn_like(mean_q) if eps is None else eps
        z = log_q.exp() * eps + mean_q
        xs[self.base] = self.advance(x, z)
        return gaussian_kl(mean_q, mean_p, log_q, log_p)

    def unconditional(self, xs: dict[int, Tensor], eps: Tensor, temperature: float) -> None:
        """Draw z from the prior and write the new state into `xs`."""
        like = eps.new_empty(eps.shape[0], self.width, self.base, self.base)
        mean, log_scale, x = self.split_prior(self.incoming(xs, like))
        z = (log_scale + math.log(temperature)).exp() * eps + mean
        xs[self.base] = self.advance(x, z)


class OutNet(nn.Module):
    """The last convolution, from features to the parameters of the pixels' distribution."""

    def __init__(self, H: Hyperparameters) -> None:
        super().__init__()
        outputs = H.image_channels if H.bernoulli else 10 * H.num_mixtures
        self.out_conv = convolution(H.width, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        parameters: Tensor = self.out_conv(features)
        return parameters


class Decoder(nn.Module):
    """Top-down: every block reads and writes the state of its resolution."""

    def __init__(self, H: Hyperparameters) -> None:
        super().__init__()
        self.H = H
        blocks = parse_blocks(H.dec_blocks)
        made = [DecBlock(H, resolution, mixin, len(blocks)) for resolution, mixin in blocks]
        self.dec_blocks = nn.ModuleList(made)
        self.bias_xs = nn.ParameterList(
            nn.Parameter(torch.zeros(1, H.width_at(size), size, size))
            for size in sorted({resolution for resolution, _ in blocks})
            if size <= H.no_bias_above
        )
        self.out_net = OutNet(H)
        self.gain = nn.Parameter(torch.ones(1, H.width, 1, 1))
        self.bias = nn.Parameter(torch.zeros(1, H.width, 1, 1))

    def forward(
        self, activations: dict[int, Tensor], noise: Sequence[Tensor] | None = None
    ) -> tuple[Tensor, list[Tensor]]:
        """Final features, and the KL of every block, element by element."""
        xs: dict[int, Tensor] = {bias.shape[2]: bias for bias in self.bias_xs}
        given = [None] * len(self.dec_blocks) if noise is None else noise
        pairs = zip(self.dec_blocks, given, strict=True)
        kls = [block(xs, activations, eps) for block, eps in pairs]
        return xs[self.H.image_size] * self.gain + self.bias, kls

    def unconditional(self, noise: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
        """Final features with every latent drawn from its prior."""
        xs: dict[int, Tensor] = {bias.shape[2]: bias for bias in self.bias_xs}
        for block, eps in zip(self.dec_blocks, noise, strict=True):
            if not isinstance(block, DecBlock):
                raise TypeError(f"expected a DecBlock, got {type(block).__name__}")
            block.unconditional(xs, eps, temperature)
        return xs[self.H.image_size] * self.gain + self.bias


def logistic_mixture(x: Tensor, parameters: Tensor, low_bit: bool = False) -> Tensor:
    """Log-likelihood (B,) of RGB targets in [-1, 1] as published, thresholds and all.

    Channels of `parameters`: K logits, then for each colour K means, K log-scales and K
    coefficients. The three colours' coefficients are those of green on red, of blue on red and
    of blue on green.
    """
    batch, colours, rows, columns = x.shape
    mixtures = parameters.shape[1] // 10
    logits = parameters[:, :mixtures]
    rest = parameters[:, mixtures:].reshape(batch, colours, 3, mixtures, rows, columns)
    log_scales = torch.clamp(rest[:, :, 1], min=-7.0)
    on_red, blue_on_red, blue_on_green = torch.tanh(rest[:, :, 2]).unbind(1)
    x = x.unsqueeze(2).expand(-1, -1, mixtures, -1, -1)
    red, green, blue = rest[:, :, 0].unbind(1)
    green = green + on_red * x[:, 0]
    blue = blue + blue_on_red * x[:, 0] + blue_on_green * x[:, 1]
    centred = x - torch.stack([red, green, blue], dim=1)
    levels = 31.0 if low_bit else 255.0
    inverse = torch.exp(-log_scales)
    upper, lower = inverse * (centred + 1 / levels), inverse * (centred - 1 / levels)
    inside = torch.sigmoid(upper) - torch.sigmoid(lower)
    middle = inverse * centred
    density = middle - log_scales - 2 * functional.softplus(middle) - math.log(levels / 2)
    safe = torch.where(inside > 1e-5, torch.log(torch.clamp(inside, min=1e-12)), density)
    bright = torch.where(x > 0.999, -functional.softplus(lower), safe)
    scores = torch.where(x < -0.999, upper - functional.softplus(upper), bright)
    joint = scores.sum(1) + functional.log_softmax(logits, dim=1)
    return torch.logsumexp(joint, dim=1).sum((1, 2))


def cropped_bernoulli(x: Tensor, logits: Tensor, size: int) -> Tensor:
    """Log-likelihood (B,) of binary targets (0 or 1), on the central size × size pixels."""
    edge = (logits.shape[2] - size) // 2
    inner = logits[:, :, edge : edge + size, edge : edge + size]
    target = x[:, :, edge : edge + size, edge : edge + size]
    terms = functional.binary_cross_entropy_with_logits(inner, target, reduction="none")
    return -terms.sum((1, 2, 3))


def sampled_mixture(parameters: Tensor) -> Tensor:
    """RGB images on [-1, 1] as published: a component by its Gumbel noise, channel by channel."""
    batch, _, rows, columns = parameters.shape
    mixtures = parameters.shape[1] // 10
    logits = parameters[:, :mixtures]
    rest = parameters[:, mixtures:].reshape(batch, 3, 3, mixtures, rows, columns)
    gumbel = -torch.log(-torch.log(torch.empty_like(logits).uniform_(1e-5, 1 - 1e-5)))
    chosen = functional.one_hot((logits + gumbel).argmax(1), mixtures).permute(0, 3, 1, 2)
    picked = (rest * chosen[:, None, None]).sum(3)
    means, log_scales = picked[:, :, 0], torch.clamp(picked[:, :, 1], min=-7.0)
    on_red, blue_on_red, blue_on_green = torch.tanh(picked[:, :, 2]).unbind(1)
    u = torch.empty_like(means).uniform_(1e-5, 1 - 1e-5)
    drawn = means + log_scales.exp() * (torch.log(u) - torch.log(1 - u))
    red = torch.clamp(drawn[:, 0], -1, 1)
    green = torch.clamp(drawn[:, 1] + on_red * red, -1, 1)
    blue = torch.clamp(drawn[:, 2] + blue_on_red * red + blue_on_green * green, -1, 1)
    return torch.stack([red, green, blue], dim=1)


class Outcome(NamedTuple):
    """What one pass yields: (B,) nats, (B, blocks) nats, and (B, width, size, size)."""

    log_likelihood: Tensor
    kl: Tensor
    features: Tensor


class VAE(nn.Module):
    """Encoder and decoder, scored on a target."""

    def __init__(self, H: Hyperparameters) -> None:
        super().__init__()
        self.H = H
        self.encoder = Encoder(H)
        self.decoder = Decoder(H)

    def forward(self, x: Tensor, target: Tensor, noise: Sequence[Tensor] | None = None) -> Outcome:
        """Score `target` with latents inferred from `x`, the normalised image (B, C, H, W)."""
        features, kls = self.decoder(self.encoder(x), noise)
        parameters = self.decoder.out_net(features)
        if self.H.bernoulli:
            score = cropped_bernoulli(target, parameters, self.H.scored_size)
        else:
            score = logistic_mixture(target, parameters, self.H.low_bit)
        kl = torch.stack([each.sum((1, 2, 3)) for each in kls], dim=1)
        return Outcome(score, kl, features)

    def loss(self, x: Tensor, target: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Nats per dimension of the input, averaged over the batch: what was minimised."""
        outcome: Outcome = self(x, target, noise)
        per_image = outcome.kl.sum(1) - outcome.log_likelihood
        return per_image.mean() / math.prod(x.shape[1:])

    def sample(self, noise: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
        """Images, every latent from its prior: 0 and 1, or levels 0 … 255."""
        parameters = self.decoder.out_net(self.decoder.unconditional(noise, temperature))
        if not self.H.bernoulli:
            return ((sampled_mixture(parameters) + 1) * 127.5).to(torch.uint8)
        edge = (self.H.image_size - self.H.scored_size) // 2
        inner = parameters[:, :, edge : edge + self.H.scored_size, edge : edge + self.H.scored_size]
        return torch.bernoulli(torch.sigmoid(inner))

    def noise(self, batch: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """Standard normal draws, one tensor per decoder block, in the weights' own dtype."""
        gain, z = self.decoder.gain, self.H.zdim
        return [
            torch.randn(
                (batch, z, size, size), generator=generator, dtype=gain.dtype, device=gain.device
            )
            for size, _ in parse_blocks(self.H.dec_blocks)
        ]
