"""What a trained model is worth: bounds on its likelihood, and what its latents carry.

Everything here reads a model and a set of images and returns numbers. Every image counts once,
the noise of an image is a function of its index, and memory has a bound, so that a result depends
neither on the machine nor on how the work was cut into pieces.
"""

from mrvae.evaluation.cost import Description, describe
from mrvae.evaluation.latents import LatentUnits, latent_units, layer_nats
from mrvae.evaluation.likelihood import LikelihoodReport, draws, evaluate
from mrvae.evaluation.norms import PassNorms, state_norms
from mrvae.evaluation.published import KUZINA2023, Defects

__all__ = [
    "KUZINA2023",
    "Defects",
    "Description",
    "LatentUnits",
    "LikelihoodReport",
    "PassNorms",
    "describe",
    "draws",
    "evaluate",
    "latent_units",
    "layer_nats",
    "state_norms",
]
