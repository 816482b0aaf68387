"""A step that does not fit into memory is refused before it starts, or ends with one line."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from helpers.tiny_run import TINY, after_step, outcome, tiny
from mrvae.cli import main
from mrvae.models import HVAE
from mrvae.models.build import build
from mrvae.training import OutOfMemory, train
from mrvae.training.memory import check
from mrvae.training.memory.check import available, check_memory, free_bytes, within_memory
from mrvae.training.memory.footprint import at_most, footprint

CPU = torch.device("cpu")
SHORT = ("steps=6", "validate_every=6", "checkpoint_every=2")


def set_free(patch: pytest.MonkeyPatch, count: int) -> None:
    patch.setattr(check, "free_bytes", lambda device: count)


def needed() -> int:
    """Return the peak memory of the tiny step."""
    return footprint(tiny(*SHORT)).peak


def planned(*changes: str) -> HVAE:
    with torch.device("meta"):
        return build(tiny(*changes))


def test_a_step_larger_than_the_free_memory_is_refused_and_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_free(monkeypatch, needed() - 1)
    out = tmp_path / "run"
    code = main(["train", "digits-vdvae", *TINY, *SHORT, "--out", str(out), "--quiet"])
    (line,) = capsys.readouterr().err.splitlines()
    assert code == 2
    assert line.startswith("mrvae: a step of 8 images is predicted to take ")
    for word in (
        "are free",
        "accumulate=2",
        "activation_checkpointing=true",
        "precision=bfloat16",
        "overcommit=2",
    ):
        assert word in line
    assert not out.exists()


def test_a_step_that_just_fits_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_free(monkeypatch, needed())
    assert train(tiny(*SHORT), tmp_path / "run", quiet=True).steps == 6


def test_overcommit_multiplies_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    set_free(monkeypatch, needed() // 2)
    with pytest.raises(ValueError, match="overcommit"):
        check_memory(planned(*SHORT), tiny(*SHORT, "overcommit=1.9"), CPU)
    check_memory(planned(*SHORT), tiny(*SHORT, "overcommit=2.1"), CPU)


def test_memory_is_asked_for_before_any_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    set_free(monkeypatch, 1 << 30)
    monkeypatch.setattr("mrvae.training.run._model", None)
    out = str(tmp_path / "run")
    command = ["train", "digits-vdvae", "width=2048", *SHORT, "--out", out, "--quiet"]
    assert main(command) == 2
    assert "is predicted to take " in capsys.readouterr().err
    assert main([*command, "width=4096"]) == 2
    assert "--yes-large" in capsys.readouterr().err
    assert main([*command, "width=4096", "--yes-large"]) == 2
    assert "is predicted to take " in capsys.readouterr().err


def test_no_step_is_predicted_where_the_quick_bound_is_enough(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    recipe = tiny(*SHORT)
    model = planned(*SHORT)
    set_free(monkeypatch, at_most(model, recipe))
    monkeypatch.setattr(check, "footprint", None)
    check_memory(model, recipe, CPU)


def test_out_of_memory_on_a_gpu_ends_the_run_with_one_line_and_it_can_be_resumed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full() -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9 GiB.")

    out = str(tmp_path / "run")
    command = ["train", "digits-vdvae", *TINY, *SHORT, "--out", out, "--quiet"]
    with monkeypatch.context() as patch:
        after_step(patch, 5, full)
        assert main(command) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("mrvae: a step of 8 images does not fit into the memory; try training.")
    assert main([*command, "--resume", "training.activation_checkpointing=true"]) == 0
    train(tiny(*SHORT), tmp_path / "whole", quiet=True)
    found, whole = outcome(tmp_path / "run"), outcome(tmp_path / "whole")
    assert found["weights.safetensors"] == whole["weights.safetensors"]


def test_only_allocation_failures_of_a_cpu_become_out_of_memory() -> None:
    training = tiny().training
    with pytest.raises(OutOfMemory, match="does not fit into the memory"), within_memory(training):
        torch.empty(1 << 58)
    with pytest.raises(RuntimeError, match="shape") as other, within_memory(training):
        torch.zeros(2).view(3)
    assert not isinstance(other.value, OutOfMemory)


def test_free_memory_is_that_of_the_system_and_at_most_that_of_the_container(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    account = tmp_path / "meminfo"
    account.write_text("MemTotal:  100 kB\nMemAvailable:   60 kB\nSwapFree: 9 kB\n")
    monkeypatch.setattr(check, "_MEMORY", account)
    monkeypatch.setattr(check, "_CONTAINER", tmp_path)
    cpu = torch.device("cpu")
    assert free_bytes(cpu) == available(account.read_text()) == 60 * 1024
    (tmp_path / "memory.current").write_text("1024\n")
    for limit, free in (("max", 60), ("11264", 10), ("512", 0)):
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        assert free_bytes(cpu) == free * 1024
    (tmp_path / "memory.max").write_text("max\n")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    assert free_bytes(cpu) == 20 * 1024
    monkeypatch.setattr(check, "_MEMORY", tmp_path / "elsewhere")
    assert free_bytes(cpu) is None
