"""The hierarchy that Kuzina & Tomczak (2023) released, transcribed plainly, to compare ours with.

Written from the description of the released model and kept apart from the package: it imports
nothing of ours, and nothing of ours imports it. It is as plain as what was released: one list of
latents per scale from fine to coarse, states of the encoder collected in a list that is read
backwards, upsampling at the end of the last block of a scale. The networks of posterior and prior
have a skip and a scalar that are registered, counted and never used.

Noise is given from outside, one tensor for each latent, coarse to fine; weight norm, which changes
no function, is left out; and so are the context and its prior: what the decoder is told is the
picture. The loss and the samples are those of binary images without a context, the baseline of
656,617 parameters on MNIST.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional


@dataclass(frozen=True)
class Shape:
    """What decides the network; scales are listed from fine to coarse."""

    latents: tuple[int, ...]
    channels: tuple[int, ...]
    image_channels: int = 1
    image_size: int = 16
    z_width: int = 1
    block_mult: float = 1.0
    start_at_x: bool = False
    shared_encoder: bool = False
    outputs: int = 1
    conditioning: str = ""

    @property
    def top_size(self) -> int:
        """Pixels a side of the coarsest scale."""
        return (1 + self.start_at_x) * self.image_size >> len(self.latents)


def mnist() -> Shape:
    """The released baseline for MNIST and OMNIGLOT: four latents of 14 × 14, four of 7 × 7."""
    return Shape(latents=(4, 4), channels=(32, 40), image_size=28)


class Res(nn.Module):
    """A network with a skip and a scalar, which stand in the sum only if `use_res`."""

    def __init__(self, net: nn.Sequential, inputs: int, outputs: int, use_res: bool) -> None:
        super().__init__()
        self.net = net
        self.use_res = use_res
        self.beta = nn.Parameter(torch.zeros(1))
        self.skip = nn.Identity() if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        if self.use_res:
            found: Tensor = self.skip(x) + self.beta * self.net(x)
        else:
            found = self.net(x)
        return found


def encoder_block(inputs: int, hidden: int, outputs: int) -> Res:
    """Activation first: 1 × 1, 3 × 3, 3 × 3, 1 × 1."""
    net = nn.Sequential(
        nn.SiLU(),
        nn.Conv2d(inputs, hidden, 1),
        nn.SiLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(hidden, outputs, 1),
    )
    return Res(net, inputs, outputs, use_res=True)


def two_threes(inputs: int, hidden: int, outputs: int, use_res: bool) -> Res:
    """Activation last: 1 × 1, 3 × 3, 3 × 3, and a plain 1 × 1."""
    net = nn.Sequential(
        nn.Conv2d(inputs, hidden, 1),
        nn.SiLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(hidden, hidden, 3, padding=1),
        nn.SiLU(),
        nn.Conv2d(hidden, outputs, 1),
    )
    return Res(net, inputs, outputs, use_res)


def one_five(inputs: int, hidden: int, outputs: int) -> Res:
    """Activation last: 1 × 1, 5 × 5 on every channel by itself, and a plain 1 × 1."""
    net = nn.Sequential(
        nn.Conv2d(inputs, hidden, 1),
        nn.SiLU(),
        nn.Conv2d(hidden, hidden, 5, padding=2, groups=hidden),
        nn.SiLU(),
        nn.Conv2d(hidden, outputs, 1),
    )
    return Res(net, inputs, outputs, use_res=False)


class Seen(NamedTuple):
    """What a decoder block computed; the state is that before upsampling."""

    p_mean: Tensor
    p_logvar: Tensor
    q_mean: Tensor
    q_logvar: Tensor
    z: Tensor
    state: Tensor


class DecoderBlock(nn.Module):
    """One latent."""

    def __init__(
        self, width: int, z_width: int, mult: float, out_width: int, upsample: int | None
    ) -> None:
        super().__init__()
        hidden = int(width * mult)
        self.z_width = z_width
        self.upsample = upsample
        self.z_up = nn.Conv2d(z_width, width, 1)
        self.resnet = two_threes(width, hidden, out_width, use_res=True)
        self.s_to_p = one_five(width, hidden, 2 * z_width + width)
        self.s_to_q = two_threes(width, hidden, 2 * z_width, use_res=False)

    def forward(self, s_enc: Tensor, s_dec: Tensor, noise: Tensor) -> tuple[Seen, Tensor]:
        p_mean, p_logvar, after = self.prior(s_dec)
        q_mean, q_raw = self.s_to_q(s_enc + s_dec).chunk(2, dim=1)
        q_logvar = log_variance(q_raw)
        z = q_mean + (0.5 * q_logvar).exp() * noise
        state = self.resnet(after + self.z_up(z))
        return Seen(p_mean, p_logvar, q_mean, q_logvar, z, state), self.enlarged(state)

    def unconditional(self, s_dec: Tensor, noise: Tensor, temperature: float) -> Tensor:
        """The next state with z from the prior, whose variance the temperature multiplies."""
        mean, logvar, after = self.prior(s_dec)
        z = mean + (0.5 * (logvar + math.log(temperature))).exp() * noise
        return self.enlarged(self.resnet(after + self.z_up(z)))

    def prior(self, s_dec: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Mean and log-variance of the prior, and the state after its own residual."""
        out = self.s_to_p(s_dec)
        mean, raw = out[:, : 2 * self.z_width].chunk(2, dim=1)
        return mean, log_variance(raw), s_dec + out[:, 2 * self.z_width :]

    def enlarged(self, state: Tensor) -> Tensor:
        """The state at the size of the next block."""
        if self.upsample is None:
            return state
        return functional.interpolate(state, size=self.upsample, mode="nearest")


def log_variance(raw: Tensor) -> Tensor:
    """The bounded log-variance of both posterior and prior."""
    return torch.clamp(torch.log(functional.softplus(raw, beta=0.7)), -5, 0)


def gaussian_kl(seen: Seen) -> Tensor:
    """KL of posterior and prior, element by element, from means and log-variances."""
    squares = seen.q_logvar.exp() + (seen.q_mean - seen.p_mean) ** 2
    return 0.5 * (seen.p_logvar - seen.q_logvar + squares / seen.p_logvar.exp() - 1)


def bernoulli(target: Tensor, logits: Tensor) -> Tensor:
    """Log-likelihood (B,) of binary targets (0 or 1), no probability below 10⁻⁷."""
    ones = torch.clamp(torch.sigmoid(logits), 1e-7, 1 - 1e-7)
    return (target * ones.log() + (1 - target) * (1 - ones).log()).sum((1, 2, 3))


class Outcome(NamedTuple):
    """Features as the decoder's blocks read them, what these saw, and the head's output."""

    features: list[Tensor]
    seen: list[Seen]
    out: Tensor


class LadderVAE(nn.Module):
    """Encoder, decoder and head."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.H = shape
        self.pre_process = nn.Conv2d(shape.image_channels, shape.channels[0], 1)
        self.encoder_blocks, self.pools = self._encoder()
        self.s_L = nn.Parameter(
            torch.zeros(1, shape.channels[-1], shape.top_size, shape.top_size), requires_grad=False
        )
        self.decoder_blocks = self._decoder()
        self.post_process = nn.Conv2d(shape.channels[0], shape.outputs, 3, padding=1)
        conditioning, kernel = (
            (shape.image_channels, 3) if shape.conditioning == "x" else (shape.z_width, 1)
        )
        wide = [
            width
            for index, width in enumerate(reversed(shape.channels))
            if shape.latents[::-1][index] > 0 and (index > 0 or shape.conditioning == "x")
        ]
        self.z_L_up = nn.ModuleList(
            nn.Conv2d(conditioning, width, kernel, padding=kernel // 2)
            for width in wide
            if shape.conditioning
        )

    def _encoder(self) -> tuple[nn.ModuleList, list[int]]:
        """One block for each latent, or for each scale that has any, and the pooling after it."""
        blocks, pools = nn.ModuleList(), []
        pool = 1 if self.H.start_at_x else 2
        for scale, count in enumerate(self.H.latents):
            width = self.H.channels[scale]
            for latent in range(min(count, 1) if self.H.shared_encoder else count):
                inputs = self.H.channels[scale - 1] if scale and not latent else width
                blocks.append(encoder_block(inputs, int(inputs * self.H.block_mult), width))
                pools.append(pool if latent == 0 else 1)
                pool = 1
            pool *= 2
        return blocks, pools

    def _decoder(self) -> nn.ModuleList:
        """From the coarsest scale to the finest; the last block of each leads to the next."""
        H = self.H
        finest = len(H.latents) - 1
        counts, widths = H.latents[::-1], H.channels[::-1]
        sizes = [H.top_size * 2**i for i in range(1, finest + 1)] + [H.image_size]
        for scale in reversed(range(finest + 1)):
            if scale and counts[scale] == 0:
                sizes[scale - 1] = sizes[scale]
        blocks = nn.ModuleList()
        for scale, count in enumerate(counts):
            for latent in range(count):
                last = latent + 1 == count
                after = widths[scale + 1] if last and scale < finest else widths[scale]
                upsample = sizes[scale] if last else None
                blocks.append(DecoderBlock(widths[scale], H.z_width, H.block_mult, after, upsample))
        return blocks

    def encode(self, x: Tensor) -> list[Tensor]:
        """The states in the order of the encoder, fine to coarse, one for each latent."""
        states, h = [], self.pre_process(x)
        counts = [count for count in self.H.latents if count]
        for index, (block, pool) in enumerate(zip(self.encoder_blocks, self.pools, strict=True)):
            h = functional.avg_pool2d(block(h), pool)
            states += [h] * (counts[index] if self.H.shared_encoder else 1)
        return states

    def forward(self, x: Tensor, noise: list[Tensor], picture: Tensor | None = None) -> Outcome:
        features = self.encode(x)[::-1]
        s_dec = self.s_L.repeat(len(x), 1, 1, 1)
        conditioning = list(self.z_L_up)
        if picture is not None:
            s_dec = s_dec + conditioning.pop(0)(
                functional.adaptive_avg_pool2d(picture, s_dec.shape[-1])
            )
        seen: list[Seen] = []
        for index, block in enumerate(self.decoder_blocks):
            size = s_dec.shape[-1]
            found, s_dec = block(features[index], s_dec, noise[index])
            seen.append(found)
            if conditioning and s_dec.shape[-1] != size and index < len(self.decoder_blocks) - 1:
                s_dec = s_dec + self._tell(conditioning.pop(0), seen[0].z, picture, s_dec.shape[-1])
        return Outcome(features, seen, self.post_process(s_dec))

    def _tell(self, layer: nn.Module, z: Tensor, picture: Tensor | None, size: int) -> Tensor:
        """What the first latent, or else the picture of the context, says at a size."""
        if picture is None:
            conditioning: Tensor = layer(functional.interpolate(z, size=size, mode="nearest"))
        else:
            conditioning = layer(functional.adaptive_avg_pool2d(picture, size))
        return conditioning

    def loss(self, x: Tensor, target: Tensor, noise: Sequence[Tensor] | None = None) -> Tensor:
        """Bits per dimension, averaged over the batch, of binary images without a context."""
        given = self.noise(len(x)) if noise is None else list(noise)
        outcome: Outcome = self(x, given)
        kl = torch.stack([gaussian_kl(seen).sum((1, 2, 3)) for seen in outcome.seen]).sum(0)
        nats = kl - bernoulli(target, outcome.out)
        return nats.mean() / math.prod(x.shape[1:]) / math.log(2)

    def unconditional(self, noise: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
        """The head's output with every latent from its prior, of a model that is told nothing."""
        s_dec = self.s_L.repeat(len(noise[0]), 1, 1, 1)
        for block, eps in zip(self.decoder_blocks, noise, strict=True):
            if not isinstance(block, DecoderBlock):
                raise TypeError(f"expected a DecoderBlock, got {type(block).__name__}")
            s_dec = block.unconditional(s_dec, eps, temperature)
        out: Tensor = self.post_process(s_dec)
        return out

    def sample(self, noise: Sequence[Tensor], temperature: float = 1.0) -> Tensor:
        """Binary images."""
        return torch.bernoulli(torch.sigmoid(self.unconditional(noise, temperature)))

    def noise(self, batch: int, generator: torch.Generator | None = None) -> list[Tensor]:
        """Standard normal draws, one tensor for each latent, coarse to fine."""
        return [
            torch.randn(
                (batch, self.H.z_width, self.H.top_size << scale, self.H.top_size << scale),
                generator=generator,
                dtype=self.s_L.dtype,
                device=self.s_L.device,
            )
            for scale, count in enumerate(reversed(self.H.latents))
            for _ in range(count)
        ]
