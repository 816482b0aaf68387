"""Figure 5 (section 5.3.2): rate and distortion on Kodak, from the context only.

The paper cuts the 24 photographs into patches of 32 × 32, reconstructs each from the context of a
DCT-VAE trained on CIFAR-10, and finds "much better BPP" than the top two latents of a VDVAE and
than JPEG have at the same PSNR. Its figure is a picture without numbers. Three things decide the
result, and each has rows of its own: what the rate means (:mod:`mrvae.evaluation`'s
rate–distortion), which JPEG (:mod:`mrvae.evaluation.rate_distortion.codecs`), and what the decoder
adds to the context, or loses against it: a column has, of every row that is a decoder's above a
context, its PSNR less that of algorithm 2 on its own, photograph by photograph. The codecs are set,
for each photograph, to the PSNR that a context reaches on it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean

from matplotlib.figure import Figure

from mrvae.data import Picture
from mrvae.evaluation import LOSSY, ImageCodec, available, written
from mrvae.papers.engine import Item
from mrvae.papers.entries import Entry, chosen
from mrvae.papers.kuzina2023 import figure5_real, kodak
from mrvae.papers.kuzina2023.cifar import cifar, frequencies, pictures, trained_on
from mrvae.papers.outcome import Budget, Outcome, Row, number
from mrvae.papers.workspace import Workspace
from mrvae.reports.figures import empty_figure

Points = Mapping[str, Sequence[tuple[float, float]]]
QUALITIES: Mapping[Budget, Sequence[int]] = {
    "smoke": (5, 10),
    "cpu": (1, 5, 10, 15, 20, 30),
    "paper": (1, 3, 5, 8, 10, 15, 20, 30, 40, 50),
}
_CONTEXT = "dct"
_GAIN = ("decoder_gain", "decoder_gain_se")
_NUMBERS = ("matched", "bpp", "bpp_se", "psnr", "psnr_se", *_GAIN, "ms_ssim")


def make(workspace: Workspace, entries: Sequence[Entry]) -> Outcome:
    """Reconstruct all photographs by each model, and set the codecs to their PSNR."""
    asked = chosen(entries, workspace.only)
    for entry in asked:
        workspace.trained(entry.job)
    photographs = pictures(workspace)
    codecs = [codec for codec in LOSSY if available(codec)]
    rows: list[Row] = []
    for entry in asked:
        workspace.log(f"{entry.name} on {len(photographs)} pictures")
        model = workspace.model(entry.job)
        versions = [kodak.learnt(entry, model, picture) for picture in photographs]
        rows += _learnt(versions)
        if entry.name.startswith(_CONTEXT):
            targets = [each[kodak.SHOWN].psnr for each in versions]
            rows += _matched(codecs, photographs, targets, versions[0][kodak.SHOWN].method)
    rows += _unquantised(asked, photographs)
    rows += [_absent(codec) for codec in LOSSY if codec not in codecs]
    curves = dict(_curves(codecs, photographs, QUALITIES[workspace.budget]))
    sentences = [*findings(rows), *decoders(rows), trained_on(asked)]
    return Outcome(rows, sentences, {"figure5": figure(rows, curves)})


def _learnt(versions: Sequence[Sequence[kodak.Version]]) -> Iterator[Row]:
    """Yield a row for each version of an entry, from all versions of every photograph."""
    methods = list(zip(*versions, strict=True))
    decoded, context_only = methods[: kodak.DECODED], methods[kodak.DECODED :]
    for each in decoded:
        yield kodak.averaged(each, None, *context_only)
    for each in context_only:
        yield kodak.averaged(each, None)


def _unquantised(asked: Sequence[Entry], photographs: Sequence[Picture]) -> Iterator[Row]:
    """Yield a row of algorithm 2 before the quantiser, for each size of the contexts."""
    for side, size in dict.fromkeys(crop for entry in asked if (crop := frequencies(entry))):
        yield kodak.averaged([kodak.unquantised(each, side, size) for each in photographs], None)


def _matched(
    codecs: Sequence[ImageCodec],
    photographs: Sequence[Picture],
    targets: Sequence[float],
    method: str,
) -> Iterator[Row]:
    """Yield a row for each codec, set to the PSNR that a method has on each photograph."""
    pairs = list(zip(photographs, targets, strict=True))
    for codec in codecs:
        versions = [kodak.by_codec(codec, picture, target) for picture, target in pairs]
        yield kodak.averaged(versions, method)


def _absent(codec: ImageCodec) -> Row:
    """Return the row of a codec that this build of Pillow cannot write."""
    return {
        "method": codec.name,
        "rate": "not in this build of Pillow",
        **dict.fromkeys(_NUMBERS),
        "images": 0,
    }


def _curves(
    codecs: Sequence[ImageCodec], photographs: Sequence[Picture], qualities: Sequence[int]
) -> Iterator[tuple[str, list[tuple[float, float]]]]:
    """Yield the mean bits per pixel and PSNR of each codec at some qualities."""
    for codec in codecs:
        points = []
        for quality in qualities:
            files = [written(codec, each.pixels, quality) for each in photographs]
            points.append((fmean(f.bpp for f in files), fmean(f.psnr for f in files)))
        yield codec.name, points


def findings(rows: Sequence[Row]) -> list[str]:
    """Return how each codec's rate compares with the context's that it was set to match.

    Example:
        >>> row = {"bpp_se": None, "psnr_se": None, "ms_ssim": None, "images": 24}
        >>> dct = {**row, "method": "dct", "rate": "pmf", "matched": None, "bpp": 0.1, "psnr": 24.0}
        >>> jpeg = {**dct, "method": "JPEG", "rate": "file", "matched": "dct", "bpp": 0.2}
        >>> findings([dct, jpeg])
        ['dct: 0.100 bpp (pmf) at 24.00 dB; JPEG has 0.200 bpp at 24.00 dB, 2.00 times as much']
    """
    groups: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        groups[str(row["matched"])].append(row)
    sentences = []
    for row in rows:
        for other in groups.get(str(row["method"]), ()):
            bpp, theirs = number(row, "bpp"), number(other, "bpp")
            sentences.append(
                f"{row['method']}: {bpp:.3f} bpp ({row['rate']}) at {row['psnr']:.2f} dB; "
                f"{other['method']} has {theirs:.3f} bpp at {other['psnr']:.2f} dB, "
                f"{theirs / bpp:.2f} times as much"
            )
    return sentences


def decoders(rows: Sequence[Row]) -> list[str]:
    """Return what a decoder adds to its context, against algorithm 2, and what quantising costs.

    Example:
        >>> none = {"decoder_gain": None, "rate": "none", "psnr": 24.7, "psnr_se": 0.5}
        >>> rows = [
        ...     {"method": "dct, t = 0", "decoder_gain": -0.5, "decoder_gain_se": 0.1},
        ...     {"method": "algorithm 2, 6 × 6, not quantised", **none},
        ... ]
        >>> for sentence in decoders(rows): print(sentence)
        dct, t = 0: the decoder loses 0.50 ± 0.10 dB against algorithm 2 alone
        algorithm 2, 6 × 6, not quantised: 24.70 ± 0.50 dB
    """
    gains = [_gain(row) for row in rows if row["decoder_gain"] is not None]
    return gains + [
        f"{row['method']}: {row['psnr']:.2f} ± {number(row, 'psnr_se', 0.0):.2f} dB"
        for row in rows
        if row["decoder_gain"] is None and row["rate"] == kodak.UNWRITTEN
    ]


def _gain(row: Row) -> str:
    gain, error = (number(row, name, 0.0) for name in _GAIN)
    verb, to = ("adds", "to") if gain > 0 else ("loses", "against")
    doubt = "" if abs(gain) > 2 * error else ", within two standard errors of nothing"
    return (
        f"{row['method']}: the decoder {verb} {abs(gain):.2f} ± {error:.2f} dB {to} algorithm 2 "
        f"alone{doubt}"
    )


def figure(rows: Sequence[Row], curves: Points) -> Figure:
    """Draw the codecs' curves, and the learnt models as points."""
    drawing, axes = empty_figure(7.0)
    for name, points in curves.items():
        axes.plot(*zip(*points, strict=True), marker=".", label=name)
    for row in rows:
        if row["matched"] is None and row["bpp"] is not None:
            point = [number(row, "bpp")], [number(row, "psnr")]
            axes.plot(*point, "x", label=str(row["method"]))
    axes.set_xlabel("bits per pixel")
    axes.set_ylabel("PSNR in dB")
    axes.legend(frameon=False, fontsize=7)
    return drawing


ITEM = Item("figure5", make, cifar, figure5_real.ITEM)
