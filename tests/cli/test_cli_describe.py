"""What ``mrvae describe`` says of a step."""

from __future__ import annotations

import pytest
from cli_tools import TINY, Capture, ask, refuse

from mrvae.cli import main

SMALL = ("describe", "digits-vdvae", *TINY)


def test_a_step_is_described_when_it_is_asked_for(capsys: Capture) -> None:
    plain = ask(capsys, *SMALL, "accumulate=1")
    assert "step" not in plain
    found = ask(capsys, *SMALL, "--batch", 16, "--precision", "bfloat16", "--device-flops", "1e9")
    step = found.pop("step")
    assert found.pop("forecast")["seconds"] > 0
    assert plain.pop("forecast")["seconds"] > 0
    assert found == plain
    assert (step["batch"], step["precision"], step["checkpoint"]) == (16, "bfloat16", False)
    # A backward pass takes twice its forward pass, but for the gradient in the image.
    assert 2.5 < step["flops"] / (16 * found["flops_per_image"]) < 3
    assert step["days"] == pytest.approx(step["steps"] * step["flops"] / 1e9 / 86400)
    fixed = sum(step[f"{name}_bytes"] for name in ("weights", "averages", "moments"))
    assert fixed + step["kept_bytes"] < step["peak_bytes"]
    assert step["weights_bytes"] == step["averages_bytes"] == 4 * found["parameters"]


def test_blocks_computed_again_take_less_memory_and_more_operations(capsys: Capture) -> None:
    plain = ask(capsys, *SMALL, "--batch", 8)
    again = ask(capsys, *SMALL, "training.activation_checkpointing=true", "--batch", 8)
    assert again["bytes_per_image"] < 0.7 * plain["bytes_per_image"]
    assert again["step"]["kept_bytes"] < 0.7 * plain["step"]["kept_bytes"]
    assert 1 < again["step"]["flops"] / plain["step"]["flops"] < 4 / 3
    assert again["step"]["days"] is None


def test_people_are_told_the_same(capsys: Capture) -> None:
    assert main([*SMALL, "accumulate=2", "--batch", "6", "--device-flops", "1e6"]) == 0
    text = capsys.readouterr().out
    assert "training step      6 images in 2 parts, float32" in text
    assert "peak memory" in text
    assert " days for 1,000 steps" in text


def test_what_makes_no_step_is_refused(capsys: Capture) -> None:
    assert refuse(capsys, *SMALL, "--batch", 0) == "--batch is 0; give at least 1"
    assert "--device-flops is 0.0" in refuse(capsys, *SMALL, "--device-flops", 0)
    assert "batch 5 cannot be split" in refuse(capsys, *SMALL, "accumulate=2", "--batch", 5)
    assert "expected float32 or bfloat16" in refuse(capsys, *SMALL, "--precision", "fp8")
