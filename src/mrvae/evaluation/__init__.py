"""What a trained model is worth: its likelihood, its latents, and how easily they are misled.

Everything here reads a model and a set of images and returns numbers. Every image counts once,
the noise of an image is a function of its index, and memory has a bound, so that a result depends
neither on the machine nor on how the work was cut into pieces.
"""

from mrvae.evaluation.ascent import Ascent, PlainGradient, SignGradient
from mrvae.evaluation.attack import AttackReport, attack, read, reconstruction
from mrvae.evaluation.cost import Description, describe
from mrvae.evaluation.latents import LatentUnits, latent_units, layer_nats
from mrvae.evaluation.likelihood import LikelihoodReport, draws, evaluate
from mrvae.evaluation.norms import PassNorms, state_norms

__all__ = [
    "Ascent",
    "AttackReport",
    "Description",
    "LatentUnits",
    "LikelihoodReport",
    "PassNorms",
    "PlainGradient",
    "SignGradient",
    "attack",
    "describe",
    "draws",
    "evaluate",
    "latent_units",
    "layer_nats",
    "read",
    "reconstruction",
    "state_norms",
]
