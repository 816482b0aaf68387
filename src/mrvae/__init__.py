"""Multi-resolution variational autoencoders.

A multi-resolution VAE is the composition of a resolution ladder, a hierarchy of cells that walks
it from coarse to fine, a context and prior at its top and a likelihood at its bottom.

``recipe`` looks a recipe up by name, ``build`` makes its model, ``load`` reads a trained one.
torch is imported when a model is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mrvae.recipes import recipe

if TYPE_CHECKING:
    from mrvae.models.build import build
    from mrvae.models.build.weights import load

__version__ = "0.1.0"
__all__ = ["__version__", "build", "load", "recipe"]


def __getattr__(name: str) -> object:
    """Import what needs torch when it is asked for (PEP 562)."""
    match name:
        case "build":
            from mrvae.models.build import build

            return build
        case "load":
            from mrvae.models.build.weights import load

            return load
    raise AttributeError(f"module 'mrvae' has no attribute {name!r}")
