"""One update: the gradient of the global batch, the clip, and the skip of bad gradients."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from msgspec import structs
from torch import Tensor, nn

from helpers.tiny_run import after_step, everything, tiny, updater
from mrvae.models import HVAE
from mrvae.models.elbo import sum_per_image
from mrvae.training import Diverged, train
from mrvae.training.compiling import try_compile
from mrvae.training.update import Updater


def weights(state: Updater) -> list[Tensor]:
    return [p.detach().clone() for p in state.parameters]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("accumulate", [2, 4, 8])
def test_a_batch_in_parts_is_the_batch(accumulate: int) -> None:
    whole = updater(tiny(), double=True)
    parts = updater(tiny(f"accumulate={accumulate}"), double=True)
    for step in range(3):
        one, other = whole.update(step), parts.update(step)
        assert one.nats == pytest.approx(other.nats, rel=1e-9)
        assert one.kl == pytest.approx(other.kl, rel=1e-9)
        assert one.norm == pytest.approx(other.norm, rel=1e-9)
        for a, b in zip(whole.parameters, parts.parameters, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


def test_images_and_noise_of_a_part_are_those_of_the_batch() -> None:
    state = updater(tiny())
    x, noise, _ = state.inputs(7, range(8))
    for k in range(8):
        part = state.inputs(7, range(k, k + 1))
        assert torch.equal(part[0], x[k : k + 1])
        assert torch.equal(part[1], noise[k : k + 1])
    assert not torch.equal(state.inputs(8, range(8))[1], noise)
    assert len(torch.unique(noise[:, 0])) == 8


def test_the_report_is_of_the_weights_before_the_update() -> None:
    """Nats, KL and the norm of the gradient of the mean -ELBO per dimension, before the clip."""
    state = updater(tiny("clip=0.001"), double=True)
    x, noise, _ = state.inputs(3, range(8))
    elbo = state.model.elbo(x, noise)
    loss = elbo.nats.mean() / 64
    gradients = torch.autograd.grad(loss, state.parameters)
    norm = torch.cat([g.flatten() for g in gradients]).norm()
    applied: list[float] = []
    step = state.optimizer.step

    def spy() -> None:
        grads = [p.grad.flatten() for p in state.parameters if p.grad is not None]
        applied.append(float(torch.cat(grads).norm()))
        step()

    state.optimizer.step = spy  # type: ignore[method-assign, assignment]
    report = state.update(3)
    assert report.nats == pytest.approx(elbo.nats.detach().mean().item(), rel=1e-12)
    assert report.kl == pytest.approx(elbo.kl.detach().sum(1).mean().item(), rel=1e-12)
    assert report.norm == pytest.approx(float(norm), rel=1e-9)
    assert report.rate == pytest.approx(0.004 * 4 / 5)
    assert state.optimizer.param_groups[0]["lr"] == report.rate
    assert applied == [pytest.approx(0.001, rel=1e-3)]
    assert all(p.grad is None for p in state.parameters)


def break_bound(patch: pytest.MonkeyPatch, factor: float) -> None:
    """Multiply log p(x | z) of every image, and its gradient, by a factor."""
    forward = HVAE.forward

    def broken(
        self: HVAE, x: Tensor, noise: Tensor, term: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        log_likelihood, kl = forward(self, x, noise, term)
        return log_likelihood * factor, kl

    patch.setattr(HVAE, "forward", broken)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite_changes_nothing(value: float) -> None:
    state = updater(tiny())
    state.update(0)
    before, averages = weights(state), [a.clone() for a in state.ema.averages]
    moments = {k: v.clone() for p in state.parameters for k, v in state.optimizer.state[p].items()}
    with pytest.MonkeyPatch.context() as patch:
        break_bound(patch, value)
        report = state.update(1)
    assert report.skipped
    assert state.monitor.broken == 1
    assert state.updates == 1
    assert equal(before, weights(state))
    assert equal(averages, state.ema.averages)
    last = state.parameters[-1]
    assert all(torch.equal(moments[k], v) for k, v in state.optimizer.state[last].items())
    assert all(p.grad is None for p in state.parameters)
    assert not state.update(2).skipped
    assert not equal(before, weights(state))


def test_a_gradient_that_is_not_finite_changes_nothing() -> None:
    """Though the loss is finite."""
    state = updater(tiny())

    def spoil(gradient: Tensor) -> Tensor:
        return gradient * math.nan

    state.parameters[0].register_hook(spoil)  # type: ignore[no-untyped-call]
    before = weights(state)
    report = state.update(0)
    assert math.isfinite(report.nats)
    assert report.skipped
    assert equal(before, weights(state))


def test_an_outlier_changes_nothing_and_is_counted() -> None:
    state = updater(tiny())
    for step in range(25):
        assert not state.update(step).skipped
    before, averages = weights(state), [a.clone() for a in state.ema.averages]
    with pytest.MonkeyPatch.context() as patch:
        break_bound(patch, 1e4)
        assert state.update(25).skipped
    assert equal(before, weights(state))
    assert equal(averages, state.ema.averages)
    assert (state.monitor.skipped, state.updates) == (1, 25)


def test_a_diverged_run_stops_and_leaves_its_checkpoint_intact(tmp_path: Path) -> None:
    out, seen = tmp_path / "run", dict[str, bytes]()
    with pytest.MonkeyPatch.context() as patch:

        def break_from_here() -> None:
            seen.update(everything(out))
            break_bound(patch, math.nan)

        after_step(patch, 12, break_from_here)
        with pytest.raises(Diverged, match="5 losses or gradients in a row"):
            train(tiny("skip.broken_in_a_row=5"), out, quiet=True)
    found = everything(out)
    names = [name for name in seen if name.startswith("state/step-00000010")]
    assert len(names) == 3
    assert all(found[name] == seen[name] for name in names)
    summary = train(tiny("skip.broken_in_a_row=5"), out, resume=True, quiet=True)
    assert math.isfinite(summary.nats)


def test_the_bound_rises_on_digits() -> None:
    state = updater(tiny("batch=16", "steps=60", "rate=0.01"))
    nats = [state.update(step).nats for step in range(60)]
    assert sum(nats[-5:]) / 5 < 0.8 * sum(nats[:5]) / 5


def test_a_batch_that_cannot_be_split_is_refused() -> None:
    state = updater(tiny())
    training = structs.replace(state.training, accumulate=4)
    assert [len(p) for p in Updater(state.model, training, state.stream, state.accelerator).parts]
    structs.force_setattr(training, "accumulate", 3)
    with pytest.raises(ValueError, match="cannot be split evenly"):
        Updater(state.model, training, state.stream, state.accelerator)


# ------------------------------------------------------------------------------- compilation


def test_after_a_failed_compilation_the_run_continues_with_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The result is that of a run which was never compiled."""

    def fail(self: nn.Module) -> None:
        def call(*_: object, **__: object) -> None:
            raise RuntimeError("no compiler\nand a long story\nabout it")

        self._compiled_call_impl = call

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "compile", fail)
        train(tiny("steps=4", "compile=true"), tmp_path / "compiled", quiet=True)
    line = "mrvae: torch.compile failed (no compiler); the run continues without it\n"
    assert capsys.readouterr().err == line
    train(tiny("steps=4"), tmp_path / "plain", quiet=True)
    for name in ("weights.safetensors", "state/step-00000004/tensors.safetensors"):
        assert everything(tmp_path / "compiled")[name] == everything(tmp_path / "plain")[name]


def test_trying_to_compile_leaves_no_gradient_and_moves_no_weight() -> None:
    state = updater(tiny())
    before = weights(state)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(nn.Module, "compile", lambda self: None)
        assert try_compile(state) is not None
    assert equal(before, weights(state))
    assert all(p.grad is None for p in state.parameters)


def test_sums_go_over_all_but_the_batch() -> None:
    x = torch.arange(24, dtype=torch.float64).view(2, 3, 2, 2)
    assert sum_per_image(x).tolist() == [66.0, 210.0]
