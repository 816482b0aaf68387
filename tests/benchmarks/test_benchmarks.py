"""The benchmarks: both sides do the same work, and a table says what was measured."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

import importance
import mrvae
import one_call
import operators
import sampling
import stability
import startup
import time_to_quality
import train_step
from helpers.members import for_all
from mrvae.models.build import build
from pairing import Product, Timing, operations, peak_memory
from sides import Shape, case, check_sizes, literal_inputs, our_model, published, synthetic

CPU = torch.device("cpu")
HALF = Timing([2.0, 4.0, 3.0], [1.0, 1.0, 1.0])
FULL = Timing([4.0, 8.0, 9.0], [4.0, 4.0, 4.0])


def test_ratios_are_of_neighbours_and_operations_of_medians() -> None:
    result = train_step.Result(
        "mnist", "float32", 7, 6, FULL, HALF, None, False, 0,
        operations=12 * 10**9, product=HALF, product_operations=3 * 10**9,
        literal_peak=3 << 20, our_peak=None,
    )  # fmt: skip
    (line,) = train_step.rows([result])
    assert line[6:11] == ("2.0", "2.00 (2.00–3.00)", "4.00", "2, 4, 1", "3, –")


@for_all(
    ("shape", "parameters"),
    [("mnist", 106_689), ("imagenet32", 119_280_868), ("dct-mnist", 656_617)],
)
def test_both_sides_have_the_published_size(shape: Shape, parameters: int) -> None:
    case_ = case(shape)
    with torch.device("meta"):
        theirs, ours = case_.published(), build(case_.recipe)
    assert check_sizes(case_, theirs, ours) == parameters


def test_other_sizes_are_refused() -> None:
    case_ = case("mnist")
    with pytest.raises(ValueError, match="the literal model has 106689 parameters, 1 of them"):
        check_sizes(replace(case_, unused=1), published(case_, CPU), our_model(case_.recipe, CPU))


def test_the_literal_encoder_has_the_published_input() -> None:
    """Child's binary images padded with black, and Kuzina's grey ones, on [-1, 1]."""
    for shape, black, side in (("mnist", 0.0, 32), ("dct-mnist", -1.0, 28)):
        case_ = case(shape)  # type: ignore[arg-type]
        white = torch.full((1, 1, 28, 28), 255, dtype=torch.uint8)
        x, target = literal_inputs(case_, white)
        none, _ = literal_inputs(case_, 0 * white)
        assert target.sum() == 28 * 28
        assert x.shape[-1] == side
        if shape == "dct-mnist":
            assert (x == 1.0).all()
            assert (none == black).all()
        else:
            assert (x[0, 0, 1] == none[0, 0, 1]).all()
            assert (none == none[0, 0, 0, 0]).all()


@pytest.mark.slow
def test_one_pair_of_steps_is_measured_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "steps.json"
    options = train_step.Options(
        shapes=("mnist",), variants=("float32",), steps=1, warmup=0, batch=2, json=path
    )
    train_step.main(options)
    (result,) = train_step.read(path)
    assert (result.parameters, result.batch, result.skipped) == (106_689, 2, 0)
    # 3.79 GFLOP for 32 images, forward and backward, are what the published program does.
    assert result.operations == pytest.approx(2 / 32 * 3.79e9, rel=0.01)
    printed = capsys.readouterr()
    train_step.main(replace(options, table=path))
    assert capsys.readouterr().out.splitlines()[0].startswith("| shape | ours |")
    assert "106,689" in printed.out
    assert printed.err.endswith(" s in all\n")


def test_samples_are_drawn_on_both_sides() -> None:
    options = sampling.Options(images=2, rounds=1, warmup=0)
    result = sampling.compare("mnist", "bf16", options)
    (line,) = sampling.rows([result])
    assert line[:3] == ("mnist", "bf16", "2")
    assert float(line[4]) == pytest.approx(2 / result.ours.wall[0], abs=0.05)


def test_an_evaluation_encodes_every_image_once_and_the_loop_every_time() -> None:
    """Ours encodes one image more, from which it learns how many it can take at a time."""
    recipe = case("mnist").recipe
    model, images = our_model(recipe, CPU), synthetic(recipe).subset(torch.arange(2)).binarised(0)
    x = images.take(torch.arange(2))
    for samples in (1, 3):
        once = importance.passes(model.encoder, importance.weigh(model, images, samples), 2)
        anew = importance.passes(model.encoder, importance.naive(model, x, samples), 2)
        assert (once, anew) == ((2 + 1) / 2, samples)


def test_operators_are_of_one_kind_and_their_times_add_up() -> None:
    kinds = {
        "aten::convolution_backward": "convolutions, backward",
        "aten::_slow_conv2d_backward": "convolutions, backward",
        "aten::mkldnn_convolution": "convolutions, forward",
        "aten::gelu_backward": "GELU and SiLU, backward",
        "aten::silu": "GELU and SiLU, forward",
        "aten::_fused_adamw_": "optimiser, clip and average",
        "aten::add_": "sums and element by element",
        "aten::item": operators.OTHER,
    }
    assert {name: operators.kind(name) for name in kinds} == kinds
    side = operators.Side(dict.fromkeys(kinds, 2.0), dict.fromkeys(kinds, 1.0))
    assert sum(side.by_kind().values()) == 16.0
    last = operators.by_kind({"ours": side}).splitlines()[-1]
    assert last == "| all | 16.0 | 100 % |"


def test_tables_stand_between_their_marks_and_nowhere_else() -> None:
    begin, end = operators.MARKS
    page = operators.between_marks(f"before {begin} old {end} after", "new")
    assert page == f"before {begin}\n\nnew\n{end} after"
    assert operators.between_marks(page, "new") == page
    with pytest.raises(ValueError, match="needs <!-- operators -->"):
        operators.between_marks(f"{end} {begin}", "new")


def test_a_product_counts_its_operations() -> None:
    product = Product(torch.float32, CPU, side=8)
    assert operations(product, 0) == product.operations == 2 * 8**3


@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone tells a process's peak memory")
def test_peak_memory_is_what_a_step_needs_at_once() -> None:
    """Two tensors of 64 MiB one after the other, and then both together."""

    def one_after_the_other(_: int) -> None:
        for _ in range(2):
            torch.ones(1 << 24)

    def together(_: int) -> None:
        _both = [torch.ones(1 << 24) for _ in range(2)]

    for step, expected in ((one_after_the_other, 64 << 20), (together, 128 << 20)):
        # The system may give memory back late, so the least of a few is what the step needs.
        peaks = [peak for index in range(3) if (peak := peak_memory(step, index, CPU)) is not None]
        assert min(peaks) == pytest.approx(expected, rel=0.1)


def test_a_process_is_measured_from_its_beginning_to_its_end() -> None:
    busy = "import time\nwhile time.process_time() < 0.3: pass"
    wall, cpu = startup.run(("-c", busy))
    assert 0.3 <= cpu < 3
    assert wall >= 0.3
    with pytest.raises(subprocess.CalledProcessError):
        startup.run(("-c", "raise SystemExit(3)"))


def test_the_floor_is_one() -> None:
    results = [startup.Result(startup.FLOOR, HALF), startup.Result("mrvae --help", FULL)]
    floor, line = startup.rows(results)
    assert floor[3:] == ("1.00", "1.00")
    assert line[3:] == ("2.00", "4.00")


def test_one_call_and_two_are_the_same_networks(tmp_path: Path) -> None:
    """In float64, with gradients of every weight."""
    pair = [each.double() for each in one_call.networks(8)]
    h, e = torch.randn(2, 2, one_call.WIDTH, 8, 8, dtype=torch.float64).unbind()
    found = []
    for way in (one_call.two_calls(*pair), one_call.one_call(*pair)):
        answer = torch.cat(way(h, e), dim=1)
        weights = [weight for each in pair for weight in each.parameters()]
        slopes = torch.autograd.grad(answer.square().sum(), weights)
        found.append([answer, *slopes])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-10)
    options = one_call.Options(sizes=(4,), compiled=(False,), rounds=2, warmup=0)
    one_call.main(replace(options, json=tmp_path / "one.json"))
    (line,) = one_call.rows(one_call.read(tmp_path / "one.json"))
    assert line[:2] == ("4", "no")
    assert float(line[6]) < 1e-5


def test_a_run_that_diverges_ends_and_is_marked() -> None:
    """At the usual rate nothing is left out; at a billion times as much all is, soon."""
    usual, narrow = mrvae.recipe("digits-vdvae"), ["width=4", "batch=2"]
    calm = stability.one(usual, 1.0, "raw", 0, 8, narrow)
    wild = stability.one(usual, 1e9, "raw", 0, 40, narrow)
    assert (calm["made"], calm["skips_per_1000"], calm["not_finite"]) == (8, 0.0, 0)
    assert isinstance(wild["made"], int)
    assert 24 <= wild["made"] < 40
    assert [line[-1] == "diverged" for line in stability.rows([calm, wild])] == [False, True]


def test_a_curve_reaches_a_quality_where_its_line_first_crosses_it() -> None:
    curve = [(2.0, 130.0), (4.0, 110.0), (6.0, 114.0), (10.0, 98.0), (12.0, 99.0)]
    for x, nats in ((2.0, 130.0), (3.0, 120.0), (4.0, 110.0), (8.0, 106.0), (10.0, 98.0)):
        assert time_to_quality.crossing(curve, nats) == pytest.approx(x)
    assert time_to_quality.crossing(curve, 140.0) == 2.0
    assert time_to_quality.crossing(curve, 97.9) is None
    assert time_to_quality.crossing([], 140.0) is None


def test_a_quality_is_that_of_the_shortest_runs_that_all_reach_it() -> None:
    points = [(2, 1.0, 120.0), (4, 2.0, 90.0)]
    quick = time_to_quality.Result("r", 0, 4, "", [], points, [0.25], 2.0, 9, 90.0, 1.0)
    slow = replace(quick, seed=1, points=[(2, 1.0, 120.0), (4, 2.0, 98.0)])
    long = replace(quick, steps=9, points=[(5, 3.0, 100.0), (9, 5.0, 87.0)])
    lines = {line[0]: line[1:] for line in time_to_quality.rows([quick, slow, long])}
    assert lines["110"][:3] == ("4 steps, 2 seeds", "3 (3–3)", "1.4 (1.3–1.5)")
    assert lines["90"][:3] == ("9 steps, 1 seed", f"{9 - 4 * 3 / 13:.0f}", f"{5 - 2 * 3 / 13:.1f}")
    assert lines["86"][:3] == ("not reached", "–", "–")
    # 5,000 steps of a quarter of a second, against 3 + 2 · 2.35/13 seconds.
    assert lines["97.65"][3:] == ("5,000", "1,250", f"{1250 / (3 + 2 * 2.35 / 13):.1f}")
