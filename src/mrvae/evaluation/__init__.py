"""What a trained model is worth: bounds on its likelihood, and what its latents carry.

Everything here reads a model and a set of images and returns numbers. Every image counts once,
the noise of an image is a function of its index, and memory has a bound, so that a result depends
neither on the machine nor on how the work was cut into pieces.
"""

from mrvae.evaluation.codecs import LOSSY, PNG, Codec, File, around, available, comparable, written
from mrvae.evaluation.cost import Description, describe
from mrvae.evaluation.distortion import ms_ssim, psnr
from mrvae.evaluation.latents import LatentUnits, latent_units, layer_nats
from mrvae.evaluation.likelihood import LikelihoodReport, draws, evaluate
from mrvae.evaluation.norms import PassNorms, state_norms
from mrvae.evaluation.patches import cut, join
from mrvae.evaluation.rate_distortion import (
    Sketch,
    context_clipped,
    context_picture,
    sketch,
    sketches,
)

__all__ = [
    "LOSSY",
    "PNG",
    "Codec",
    "Description",
    "File",
    "LatentUnits",
    "LikelihoodReport",
    "PassNorms",
    "Sketch",
    "around",
    "available",
    "comparable",
    "context_clipped",
    "context_picture",
    "cut",
    "describe",
    "draws",
    "evaluate",
    "join",
    "latent_units",
    "layer_nats",
    "ms_ssim",
    "psnr",
    "sketch",
    "sketches",
    "state_norms",
    "written",
]
