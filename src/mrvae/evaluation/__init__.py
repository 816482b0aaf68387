"""What a trained model is worth: its likelihood, its latents, and how easily they are misled.

Everything here reads a model and a set of images and returns numbers. Every image counts once,
the noise of an image is a function of its index, and memory has a bound, so that a result depends
neither on the machine nor on how the work was cut into pieces.
"""

from mrvae.evaluation.ascent import Ascent, PlainGradient, SignGradient
from mrvae.evaluation.attack import AttackReport, attack, read, reconstruction
from mrvae.evaluation.bands import Band, BandReport, band_report, layout
from mrvae.evaluation.codecs import (
    LOSSLESS,
    LOSSY,
    PNG,
    Codec,
    File,
    around,
    available,
    comparable,
    written,
)
from mrvae.evaluation.cost import Description, describe
from mrvae.evaluation.distortion import ms_ssim, psnr
from mrvae.evaluation.images import (
    BandFeatures,
    cross_entropy,
    frechet_distance,
    inception,
    squared_error,
)
from mrvae.evaluation.latents import LatentUnits, latent_units, layer_nats
from mrvae.evaluation.likelihood import LikelihoodReport, draws, evaluate
from mrvae.evaluation.norms import PassNorms, state_norms
from mrvae.evaluation.partial import Partial, PartialReport, partial_report
from mrvae.evaluation.published import KUZINA2023, Defects
from mrvae.evaluation.rate_distortion import (
    Sketch,
    context_clipped,
    context_picture,
    sketch,
    sketches,
)
from mrvae.evaluation.similarity import (
    MSSSIM,
    PSNR,
    SSIM,
    PaperMSSSIM,
    Similarity,
    SmallMSSSIM,
    fitting,
    usual,
)
from mrvae.evaluation.units import UnitReport, UnitTotal, unit_report

__all__ = [
    "KUZINA2023",
    "LOSSLESS",
    "LOSSY",
    "MSSSIM",
    "PNG",
    "PSNR",
    "SSIM",
    "Ascent",
    "AttackReport",
    "Band",
    "BandFeatures",
    "BandReport",
    "Codec",
    "Defects",
    "Description",
    "File",
    "LatentUnits",
    "LikelihoodReport",
    "PaperMSSSIM",
    "Partial",
    "PartialReport",
    "PassNorms",
    "PlainGradient",
    "SignGradient",
    "Similarity",
    "Sketch",
    "SmallMSSSIM",
    "UnitReport",
    "UnitTotal",
    "around",
    "attack",
    "available",
    "band_report",
    "comparable",
    "context_clipped",
    "context_picture",
    "cross_entropy",
    "describe",
    "draws",
    "evaluate",
    "fitting",
    "frechet_distance",
    "inception",
    "latent_units",
    "layer_nats",
    "layout",
    "ms_ssim",
    "partial_report",
    "psnr",
    "read",
    "reconstruction",
    "sketch",
    "sketches",
    "squared_error",
    "state_norms",
    "unit_report",
    "usual",
    "written",
]
