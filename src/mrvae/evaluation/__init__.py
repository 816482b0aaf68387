"""Evaluation of a trained model: its likelihood, its latents, its images, and their robustness.

Everything here takes a model and a set of images and returns numbers. Every image counts once,
the noise of an image is a function of its index, and memory has a bound, so that a result depends
neither on the machine nor on the size of the batches.

    likelihood, published   bounds on log p(x), and a published estimator that is none
    cost, memory            parameters and FLOPs; rows of a batch within a memory bound
    statistics              standard errors, also by the jackknife
    latents/                active units, nats, state norms, bands, partial reconstructions, files
    quality/                similarity, pixel errors, distortion, Fréchet distance
    rate_distortion/        sketches from the top latents, image codecs
    robustness/             attacks on the latents
    out_of_distribution/    whether an image is of the kind that the model knows
"""

from mrvae.evaluation.cost import Description, describe
from mrvae.evaluation.latents.active_units import LatentUnits, latent_units, layer_nats
from mrvae.evaluation.latents.archive import (
    LatentArchive,
    check_latent_shapes,
    decode_latents,
    encode_images,
    read_archive,
    weights_digest,
)
from mrvae.evaluation.latents.bands import Band, BandReport, band_report, layout
from mrvae.evaluation.latents.partial import Partial, PartialReport, partial_report
from mrvae.evaluation.latents.state_norms import PassNorms, state_norms
from mrvae.evaluation.latents.unit_report import UnitReport, UnitTotal, unit_report
from mrvae.evaluation.likelihood import LikelihoodReport, draws, evaluate
from mrvae.evaluation.out_of_distribution.detection import (
    Detection,
    Interval,
    detect,
    detection_rates,
)
from mrvae.evaluation.out_of_distribution.likelihood_ratio import ScoreReport, descents, score
from mrvae.evaluation.published import KUZINA2023, Defects
from mrvae.evaluation.quality.distortion import ms_ssim, psnr
from mrvae.evaluation.quality.frechet import BandFeatures, frechet_distance, inception
from mrvae.evaluation.quality.pixel_errors import cross_entropy, squared_error
from mrvae.evaluation.quality.similarity import (
    MSSSIM,
    PSNR,
    SSIM,
    PaperMSSSIM,
    Similarity,
    SmallMSSSIM,
    fitting,
    usual,
)
from mrvae.evaluation.rate_distortion.codecs import (
    LOSSLESS,
    LOSSY,
    PNG,
    File,
    ImageCodec,
    around,
    available,
    comparable,
    written,
)
from mrvae.evaluation.rate_distortion.sketch import (
    Sketch,
    context_clipped,
    context_picture,
    sketch,
    sketches,
)
from mrvae.evaluation.robustness.ascent import Ascent, PlainGradient, SignGradient
from mrvae.evaluation.robustness.attack import AttackReport, attack, read, reconstruction

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
    "Defects",
    "Description",
    "Detection",
    "File",
    "ImageCodec",
    "Interval",
    "LatentArchive",
    "LatentUnits",
    "LikelihoodReport",
    "PaperMSSSIM",
    "Partial",
    "PartialReport",
    "PassNorms",
    "PlainGradient",
    "ScoreReport",
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
    "check_latent_shapes",
    "comparable",
    "context_clipped",
    "context_picture",
    "cross_entropy",
    "decode_latents",
    "descents",
    "describe",
    "detect",
    "detection_rates",
    "draws",
    "encode_images",
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
    "read_archive",
    "reconstruction",
    "score",
    "sketch",
    "sketches",
    "squared_error",
    "state_norms",
    "unit_report",
    "usual",
    "weights_digest",
    "written",
]
