"""From a recipe to a model whose only latent is its context."""

from __future__ import annotations

from mrvae.models.build.context import make_prior
from mrvae.models.build.image_model import image_family, image_frame
from mrvae.models.context.context_only import EmptyStage, ImageConditioner, NoEncoder
from mrvae.models.heads.image_head import ImageHead
from mrvae.models.hierarchy.decoder import Decoder
from mrvae.models.hvae import HVAE
from mrvae.recipes import context_only as spec


def make_context_only(recipe: spec.ContextOnly) -> HVAE:
    """Build the model of a recipe, its weights at their initial values.

    Raises:
        ValueError: if the context does not fit the images, or the prior the context.

    Source: ours, from algorithms 1 and 2 of Kuzina & Tomczak 2023.

    Example:
        >>> import torch
        >>> from mrvae.recipes.context import DCTSpec, AutoregressiveSpec, MidTreadSpec
        >>> context = DCTSpec(2, MidTreadSpec(1.0), AutoregressiveSpec(hidden=8, components=2))
        >>> model = make_context_only(spec.ContextOnly(1, 4, context))
        >>> x = torch.randint(0, 256, (5, 1, 4, 4), generator=torch.manual_seed(0)).byte()
        >>> model.context.fit(x)
        >>> model.shapes, model.elbo(x).kl.shape
        (((1, 2, 2),), torch.Size([5, 1]))
    """
    frame = image_frame(recipe.channels, recipe.size, recipe.likelihood)
    context = ImageConditioner(make_prior(recipe.context, frame), frame)
    decoder = Decoder([EmptyStage(recipe.channels, recipe.size)])
    head = ImageHead(frame, image_family(recipe.likelihood))
    return HVAE(NoEncoder(), decoder, head, frame, context)
