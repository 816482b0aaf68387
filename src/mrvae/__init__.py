"""Multi-resolution variational autoencoders.

A multi-resolution VAE is the composition of a resolution ladder, a hierarchy of cells from coarse
to fine, a context and prior at its top and a likelihood at its bottom.

``recipe`` looks a recipe up by name, ``build`` makes its model, ``load`` reads a trained one, and
``score`` measures how unusual images are to it, and ``inpaint``, ``denoise``, ``upscale`` and
``deblur`` restore images with it. Each is imported at its first use, so that ``import mrvae`` costs
nothing.
"""

from __future__ import annotations

# As in typing, whose import takes time in which Ctrl-C would be a traceback.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from mrvae.evaluation.out_of_distribution.likelihood_ratio import score
    from mrvae.models.build import build
    from mrvae.models.build.weights import load
    from mrvae.recipes import recipe
    from mrvae.restoration import deblur, denoise, inpaint, upscale

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "build",
    "deblur",
    "denoise",
    "inpaint",
    "load",
    "recipe",
    "score",
    "upscale",
]


def __getattr__(name: str) -> object:
    """Import a public function at its first use (PEP 562)."""
    match name:
        case "build":
            from mrvae.models.build import build

            return build
        case "load":
            from mrvae.models.build.weights import load

            return load
        case "recipe":
            from mrvae.recipes import recipe

            return recipe
        case "score":
            from mrvae.evaluation.out_of_distribution.likelihood_ratio import score

            return score
        case "inpaint" | "denoise" | "upscale" | "deblur":
            from mrvae import restoration

            face: object = vars(restoration)[name]
            return face
    raise AttributeError(f"module 'mrvae' has no attribute {name!r}")
