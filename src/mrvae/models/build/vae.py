"""From a recipe to a convolutional VAE with one latent, the baseline of Kiruluta (2025)."""

from __future__ import annotations

import torch

from mrvae.distributions import Gaussian
from mrvae.models.build.image_model import image_frame, image_head, make_objective
from mrvae.models.hierarchy.decoder import Decoder
from mrvae.models.hierarchy.encoder import Encoder
from mrvae.models.hierarchy.level import Level
from mrvae.models.hvae import HVAE
from mrvae.models.single_latent import Expand, OneLatentEncoder
from mrvae.models.wavelet.bands import BandCell, SingleCellStage, UnconditionalPrior
from mrvae.recipes import wavelet as spec
from mrvae.resolution import Ladder


def make_vae(recipe: spec.VAE) -> HVAE:
    """Build the model of a recipe, its weights at their initial values.

    Raises:
        ValueError: if the width leaves no channel to a bottleneck.

    Source: Kiruluta 2025, sections 1.4 and 3.2.1; its sizes are not published.

    Example:
        >>> model = make_vae(spec.VAE(1, 8, 2, 4, spec.LogisticImage(bins=17), width=8))
        >>> model.shapes, model.sample(3).shape
        (((4, 2, 2),), torch.Size([3, 1, 8, 8]))
    """
    frame = image_frame(recipe.channels, recipe.size, recipe.likelihood)
    ladder = Ladder.between(recipe.coarse, recipe.size)
    levels = [
        Level(ladder.size(index), recipe.width, recipe.latent, recipe.blocks, cells=0)
        for index in range(ladder.steps + 1)
    ]
    levels[0] = Level(recipe.coarse, recipe.width, recipe.latent, recipe.blocks, cells=1)
    network = Encoder(levels, recipe.channels, recipe.bottleneck, ladder)
    encoder = OneLatentEncoder(network, recipe.width, recipe.latent, levels[0].kernel)
    zero = torch.zeros(recipe.latent, 1, 1)
    prior = UnconditionalPrior(Gaussian, zero, zero.clone(), learnt=False, centred=True)
    expand = Expand(levels, ladder, recipe.latent, recipe.channels, recipe.bottleneck)
    shape = (recipe.latent, *levels[0].sides)
    stage = SingleCellStage(levels[0], shape, BandCell(prior, expand))
    head = image_head(frame, recipe.likelihood, recipe.loss)
    objective = make_objective(recipe.loss, frame.bins, 1)
    return HVAE(encoder, Decoder([stage]), head, frame, objective=objective)
