"""What a recipe may say of a model that has no latent but its context.

    log p(x) ≥ log p(c) + log p(x | c),        c = f(x),

the context's prior and, around the image that the context stands for, a law of the pixels. Its
first layer in a file is a lossy picture that no network makes: what a learnt prior is worth in
bytes can be seen here by itself.
"""

from __future__ import annotations

from mrvae.recipes.context import SomeContext
from mrvae.recipes.validation import ImageModel
from mrvae.recipes.wavelet import ImageLikelihood, LogisticImage


class ContextOnly(ImageModel, frozen=True, tag="context_only"):
    """A context, and pixels around what it stands for; ``everywhere`` of a context says nothing."""

    context: SomeContext
    likelihood: ImageLikelihood = LogisticImage()
