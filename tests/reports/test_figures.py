from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from PIL import Image

from mrvae.reports.figures import (
    cdf_figure,
    curve,
    groups,
    keep_figure,
    latents_figure,
    loss_figure,
    norms_figure,
    smoothed,
    write_figure,
)
from mrvae.run_log import read_events

KL = [0.5, 0.25, 4.0, 3.0, 0.0]
SIZES = [1, 4, 4, 8, 8]


def _bars(axes: Axes) -> list[Rectangle]:
    bars = [patch for patch in axes.patches if isinstance(patch, Rectangle)]
    return sorted(bars, key=lambda bar: bar.get_x())


def test_bars_are_the_nats_of_the_latents_in_order() -> None:
    axes, _ = latents_figure(KL, SIZES, [0.5]).axes
    assert [bar.get_height() for bar in _bars(axes)] == KL
    centres = [bar.get_x() + bar.get_width() / 2 for bar in _bars(axes)]
    assert centres == pytest.approx(range(1, len(KL) + 1))
    assert "7.8 nats in 5 latents" in axes.get_title()


def test_a_resolution_has_one_colour_and_its_sum() -> None:
    axes, _ = latents_figure(KL, SIZES, [0.5]).axes
    colors = [bar.get_facecolor() for bar in _bars(axes)]
    for i, j in np.ndindex(5, 5):
        assert (colors[i] == colors[j]) == (SIZES[i] == SIZES[j])
    legend = axes.get_legend()
    assert legend is not None
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels == ["1×1: 0.5", "4×4: 4.2", "8×8: 3.0"]


def test_groups_cover_the_latents_once() -> None:
    found = groups([1, 4, 4, 8, 4])
    assert [i for group in found for i in range(group.start, group.stop)] == list(range(5))
    assert [group.size for group in found] == [1, 4, 8, 4]


@pytest.mark.parametrize(("kl", "sizes"), [([], []), ([1.0], [1, 2])])
def test_each_latent_needs_its_size(kl: list[float], sizes: list[int]) -> None:
    with pytest.raises(ValueError, match="give one for each"):
        latents_figure(kl, sizes, [0.5])


def test_the_cdf_reaches_each_part_at_its_value() -> None:
    """What is below the smallest value that is shown stands at it."""
    _, beside = latents_figure(KL, SIZES, [0.1, 0.0, 2.0, 0.1]).axes
    (alone,) = cdf_figure({"a": [0.1, 0.0, 2.0, 0.1]}).axes
    for axes in (alone, beside):
        (line,) = axes.get_lines()
        x, y = (np.asarray(values, dtype=float) for values in line.get_data())
        for value, part in ((1e-6, 0.25), (0.1, 0.75), (2.0, 1.0)):
            assert y[x <= value].max() == part
        assert y[0] == 0.0


def test_curves_of_similarity_have_bars_of_two_standard_errors() -> None:
    picture = np.zeros((4, 6, 3), dtype=np.uint8)
    curves = {"vdvae": ([0.5, 0.75], [0.01, 0.02]), "dct": ([0.8, 0.9], [0.0, 0.01])}
    panel, shown = keep_figure({"ms_ssim": curves}, {"examples": picture}).axes
    assert panel.get_ylabel() == "ms_ssim"
    lines = {str(c.get_label()): c[0].get_xydata().tolist() for c in panel.containers}
    assert lines == {"vdvae": [[1, 0.5], [2, 0.75]], "dct": [[1, 0.8], [2, 0.9]]}
    (bars,) = panel.containers[0][2]
    ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
    assert np.allclose(ends, [[0.48, 0.52], [0.71, 0.79]])
    assert np.array_equal(np.asarray(shown.get_images()[0].get_array()), picture)
    with pytest.raises(ValueError, match="no measure"):
        keep_figure({}, {})


EVENTS: list[dict[str, object]] = [
    {"step": 1, "nats": 90.0, "kl": 3.0},
    {"step": 2, "nats": None},
    {"step": 2, "validation_nats": 80.0, "seconds": 3.0},
    {"step": 3, "nats": 70.0},
    {"step": 4, "nats": float("nan")},
    {"step": 5, "nats": 80.0},
]


def test_curves_hold_the_finite_values_of_their_key() -> None:
    assert curve(EVENTS, "nats") == ([1, 3, 5], [90.0, 70.0, 80.0])
    assert curve(EVENTS, "validation_nats", 0.5) == ([2], [40.0])


@pytest.mark.parametrize(("dims", "unit"), [(None, 1.0), (10, 1 / (10 * math.log(2)))])
def test_the_loss_is_drawn_in_its_unit(dims: int | None, unit: float) -> None:
    (axes,) = loss_figure(EVENTS, dims).axes
    raw, smooth, valid = (np.asarray(line.get_xydata()) for line in axes.get_lines())
    assert raw == pytest.approx(np.array([[1, 90 * unit], [3, 70 * unit], [5, 80 * unit]]))
    assert smooth == pytest.approx(np.array([[1, 90 * unit], [3, 80 * unit], [5, 80 * unit]]))
    assert valid == pytest.approx(np.array([[2, 80 * unit]]))
    assert ("bits" in axes.get_ylabel()) == (dims is not None)


def test_the_first_steps_do_not_hide_the_rest() -> None:
    events = [{"step": i, "nats": 1e6 if i < 3 else 100.0 - i / 100} for i in range(1000)]
    (axes,) = loss_figure(events).axes
    low, high = axes.get_ylim()
    assert 80 < low < 91
    assert 99 < high < 105


@pytest.mark.parametrize("events", [[], [{"step": 1, "nats": 3.0}], EVENTS])
def test_figures_of_any_run_are_written_whole(
    tmp_path: Path, events: list[dict[str, object]]
) -> None:
    write_figure(tmp_path / "loss.png", loss_figure(events))
    assert np.asarray(Image.open(tmp_path / "loss.png").convert("L")).min() < 128
    assert [path.name for path in tmp_path.iterdir()] == ["loss.png"]


def test_smoothing_keeps_lines_and_halves_noise() -> None:
    line = [3.0 - 0.5 * i for i in range(60)]
    assert smoothed(line) == pytest.approx(line)
    noisy = [value + (-1) ** i for i, value in enumerate(line)]
    assert np.abs(np.subtract(smoothed(noisy), line))[5:-5].max() < 0.1


def test_a_line_that_a_killed_run_left_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text('{"step": 1, "nats": 2.0}\n{"step": 1, "note": [1]}\n[]\n{"step": 2, "na')
    assert read_events(path) == [{"step": 1, "nats": 2.0}]
    assert read_events(tmp_path / "no-such-run") == []


def test_matplotlib_waits_for_the_first_figure() -> None:
    modules = "mrvae.reports.figures, mrvae.reports.image_grid, mrvae.reports.page_images"
    program = f"import sys, {modules}; print('matplotlib' in sys.modules)"
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_norms_are_drawn_with_two_deviations_and_broken_between_resolutions() -> None:
    sizes, means, deviations = [4, 4, 8], [1.0, 2.0, 8.0], [0.1, 0.2, 0.5]
    left, right = norms_figure(
        {"up": (sizes, means, deviations), "down": (sizes, means, means)}
    ).axes
    drawn = [np.asarray(line.get_xydata()).tolist() for line in left.lines]
    for sign in (-2, 0, 2):
        assert [[1, 1.0 + sign * 0.1], [2, 2.0 + sign * 0.2]] in drawn
        assert [[3, 8.0 + sign * 0.5]] in drawn
    assert [text.get_text() for text in left.texts] == ["4²", "8²"]
    assert "down" in right.get_xlabel()


def test_norms_of_no_pass_are_refused() -> None:
    with pytest.raises(ValueError, match="no pass"):
        norms_figure({})


def test_figures_are_drawn_whatever_window_system_is_configured(tmp_path: Path) -> None:
    program = (
        "import os, pathlib, mrvae.reports.figures as r;"
        f"r.write_figure(pathlib.Path({str(tmp_path / 'a.png')!r}), r.loss_figure([]));"
        "print(os.environ['MPLBACKEND'])"
    )
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"MPLBACKEND": "nonsense"},
    )
    assert (done.returncode, done.stdout.strip()) == (0, "nonsense"), done.stderr
    assert (tmp_path / "a.png").is_file()
