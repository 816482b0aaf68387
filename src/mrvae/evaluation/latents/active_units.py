"""Nats of each layer, and the number of active units.

The nats of a layer are KL(q(z_l | z_<l, x) ‖ p(z_l | z_<l)), averaged over images. A unit is
*active* if its posterior mean moves with the image (Burda et al. 2016, section 5.2):

    Var_x( E_{q(z|x)}[z_u] ) > 0.01,

with x over all evaluated images. In a hierarchy, E[z_l | x] is an expectation over the latents
above, too. A single draw of them would put their noise into the variance, and every unit that
merely copies a noisy parent would count. So the means are taken at the means of the latents above,
which is exact where the posterior's mean is linear in them, needs one forward pass, and draws
nothing. The units of a context count as the published ones do: by their values on [-1, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from mrvae.data import Images, all_batches, normal
from mrvae.evaluation.memory import rows_within
from mrvae.models import HVAE

_THRESHOLD = 0.01


@dataclass(frozen=True)
class LatentUnits:
    """How many of a model's scalar latents are active.

    Attributes:
        active: number of active units in each stochastic layer, coarse to fine.
        units: number of units in each.

    Example:
        >>> LatentUnits(active=(1, 0), units=(4, 16)).summary()
        {'active_units': 1, 'latent_units': 20}
    """

    active: tuple[int, ...]
    units: tuple[int, ...]

    def summary(self) -> dict[str, int]:
        """Return the sums over all layers."""
        return {"active_units": sum(self.active), "latent_units": sum(self.units)}


@torch.no_grad()
def latent_units(model: HVAE, images: Images, *, memory: int = 1 << 30) -> LatentUnits:
    """Count the units whose posterior mean has a variance over the images above 0.01.

    The variance is that of the given images, divided by their number; of one image nothing is
    active. ``memory`` bounds the activations, in bytes, about.

    Raises:
        ValueError: if memory is not positive, or the images are not the model's.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> images = load("digits", "validation").subset(torch.arange(2))
        >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
        >>> sum(latent_units(model, images).units) == model.latent_noise_size
        True
    """
    device = next(model.parameters()).device
    units = [c * h * w for c, h, w in model.shapes]
    count = sum(units)
    total, squares = torch.zeros(2, count, dtype=torch.float64).unbind()
    for _, x in all_batches(images, rows_within(memory, model)):
        latents = model.encode(x.to(device), temperature=0.0)
        values = model.latent_values(latents)
        means = torch.cat([z.flatten(start_dim=1) for z in values], dim=1).cpu().double()
        total += means.sum(dim=0)
        squares += means.square().sum(dim=0)
    variance = squares / len(images) - (total / len(images)).square()
    layers = torch.split(variance > _THRESHOLD, units)
    return LatentUnits(tuple(int(layer.sum()) for layer in layers), tuple(units))


@torch.no_grad()
def layer_nats(
    model: HVAE, images: Images, *, seed: int = 0, memory: int = 1 << 30
) -> tuple[float, ...]:
    """Return KL(q ‖ p) of each stochastic layer in nats, coarse to fine, averaged over the images.

    One draw for each image, from the noise of :func:`mrvae.evaluation.evaluate`; equal to its
    ``kl``, without the importance-weighted bound.

    Raises:
        ValueError: if memory is not positive, or the images are not the model's.

    Example:
        >>> import mrvae
        >>> from mrvae.data import load
        >>> images = load("digits", "validation").subset(torch.arange(2))
        >>> model = mrvae.build(mrvae.recipe("digits-vdvae"))
        >>> len(layer_nats(model, images)) == model.stochastic_depth
        True
    """
    weight = next(model.parameters())
    total = torch.zeros(model.stochastic_depth, dtype=torch.float64)
    for indices, x in all_batches(images, rows_within(memory, model)):
        noise = normal(seed, 0, indices, model.noise_size, weight.device, weight.dtype)
        total += model.elbo(x.to(weight.device), noise).kl.cpu().double().sum(dim=0)
    return tuple((total / len(images)).tolist())
