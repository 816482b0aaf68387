"""Closed forms of the average, the rate and the optimiser, and the log of a run."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import torch
from msgspec.structs import replace
from torch import nn

from mrvae.recipes.optimizers import Adamax, AdamW, Muon, Optimizer
from mrvae.recipes.schema import Constant, Cosine, Training
from mrvae.training.ema import Ema
from mrvae.training.optimizer import make_optimizer, rate_factor, set_rate
from mrvae.training.store.metrics import Metrics

PLAIN = Training(steps=100, batch=1, warmup=10)


def test_the_average_is_its_closed_form() -> None:
    """a_n = Σ_k w_k (1 - d_k) Π_{j>k} d_j, with d_k = min(d, (1+k)/(10+k))."""
    weights = torch.randn(40, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    parameter = nn.Parameter(torch.full((3,), 7.0, dtype=torch.float64))
    ema = Ema([parameter], decay=0.6)
    for count, weight in enumerate(weights):
        parameter.data.copy_(weight)
        ema.update(count)
    decays = [min(0.6, (1 + k) / (10 + k)) for k in range(40)]
    expected = 7.0 * math.prod(decays) * torch.ones(3, dtype=torch.float64)
    for k in range(40):
        expected += weights[k] * (1 - decays[k]) * math.prod(decays[k + 1 :])
    torch.testing.assert_close(ema.averages[0], expected, rtol=1e-12, atol=1e-12)


def test_averages_are_the_weights_only_inside_the_block() -> None:
    layer = nn.Linear(2, 2)
    ema = Ema(layer.parameters(), decay=0.0)
    ema.averages = [torch.ones_like(p) for p in layer.parameters()]
    before = [p.detach().clone() for p in layer.parameters()]

    def fail() -> None:
        with ema.applied():
            assert all(bool((p == 1).all()) for p in layer.parameters())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert all(torch.equal(p, b) for p, b in zip(layer.parameters(), before, strict=True))


def test_no_decay_is_no_average() -> None:
    parameter = nn.Parameter(torch.zeros(2))
    ema = Ema([parameter], decay=0.0)
    parameter.data.fill_(3.0)
    ema.update(1000)
    assert torch.equal(ema.averages[0], parameter.detach())


def test_the_rate_is_its_closed_form() -> None:
    cosine = replace(PLAIN, schedule=Cosine(final=0.2))
    for step in range(10):
        assert rate_factor(PLAIN, step) == rate_factor(cosine, step) == (step + 1) / 10
    for step in range(10, 100):
        assert rate_factor(PLAIN, step) == 1.0
        wave = math.cos(math.pi * (step - 10) / 89)
        assert rate_factor(cosine, step) == pytest.approx(0.6 + 0.4 * wave, abs=1e-12)


@pytest.mark.parametrize("schedule", [Constant(), Cosine()])
def test_short_runs_have_a_rate(schedule: Constant | Cosine) -> None:
    for steps, warmup in ((1, 0), (1, 1), (5, 10), (11, 10), (2, 0)):
        training = Training(steps=steps, batch=1, warmup=warmup, schedule=schedule)
        factors = [rate_factor(training, step) for step in range(steps)]
        assert all(0 <= factor <= 1 for factor in factors)
        assert max(factors) > 0


def one_step(spec: Optimizer, gradients: list[float]) -> float:
    """Return a weight that began at 1, after steps along the gradients."""
    weight = nn.Parameter(torch.ones(1, dtype=torch.float64))
    optimizer = make_optimizer(spec, [weight])
    set_rate(optimizer, spec.rate)
    for gradient in gradients:
        weight.grad = torch.full_like(weight, gradient)
        optimizer.step()
    return weight.item()


def test_adamw_is_its_formula() -> None:
    """With both moments at 0.9, as published, and decay decoupled from the gradient."""
    gradients = [0.3, -2.0, 0.7, 5.0]
    rate, beta, decay = 0.01, 0.9, 0.1
    weight = 1.0
    for n in range(1, 5):
        total = 1 - beta**n
        first = sum((1 - beta) * beta ** (n - 1 - k) * gradients[k] for k in range(n)) / total
        second = sum((1 - beta) * beta ** (n - 1 - k) * gradients[k] ** 2 for k in range(n)) / total
        weight = weight * (1 - rate * decay) - rate * first / (math.sqrt(second) + 1e-8)
    spec = AdamW(rate=rate, weight_decay=decay)
    assert (spec.beta1, spec.beta2) == (0.9, 0.9)
    assert one_step(spec, gradients) == pytest.approx(weight, rel=1e-12)


def test_adamax_is_its_formula() -> None:
    gradients, rate = [0.3, -2.0, 0.7, 5.0], 0.01
    weight, norm, first = 1.0, 0.0, 0.0
    for n, gradient in enumerate(gradients, start=1):
        first = 0.9 * first + 0.1 * gradient
        norm = max(0.99 * norm, abs(gradient) + 1e-8)
        weight -= rate / (1 - 0.9**n) * first / norm
    found = one_step(Adamax(rate=rate, beta2=0.99), gradients)
    assert found == pytest.approx(weight, rel=1e-9)


def test_muon_turns_a_matrix_by_its_singular_vectors() -> None:
    """The update is U f(S) Vᵀ of the momentum, f near 1, at the size of AdamW's, for any shape."""
    spec, generator = Muon(rate=0.01, weight_decay=0.0), torch.Generator().manual_seed(0)
    for shape in ((16, 24), (24, 16), (16, 4, 3, 3)):
        weight = nn.Parameter(torch.zeros(shape, dtype=torch.float64))
        optimizer = make_optimizer(spec, [weight])
        momentum = torch.zeros(shape, dtype=torch.float64)
        for _ in range(3):
            before = weight.detach().clone()
            gradient = torch.randn(shape, generator=generator, dtype=torch.float64)
            weight.grad = gradient
            momentum.lerp_(gradient, 0.05)
            optimizer.step()
        left, singular, right = torch.linalg.svd(
            torch.lerp(gradient, momentum, 0.95).flatten(1), full_matrices=False
        )
        moved = left.mT @ (before - weight.detach()).flatten(1) @ right.mT
        moved /= 0.01 * 0.2 * math.sqrt(max(weight.flatten(1).shape))
        assert singular.max() > 3 * singular.min()
        assert ((moved.diag() > 0.6) & (moved.diag() < 1.2)).all()
        assert (moved - moved.diag().diag()).abs().max() < 1e-9


def test_muon_leaves_what_is_no_matrix_to_adamw() -> None:
    spec = Muon(rate=0.01, adamw_share=0.5, weight_decay=0.1)
    gradients = [0.3, -2.0, 0.7, 5.0]
    share = AdamW(rate=0.005, beta1=spec.beta1, beta2=spec.beta2, weight_decay=0.1)
    assert one_step(spec, gradients) == one_step(share, gradients) != 1.0


def test_events_are_read_exactly_as_they_were_written(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    assert metrics.read() == []
    events = [{"step": k, "nats": 1 / 3 * k, "norm": 1e-300 * k} for k in range(1, 6)]
    for event in events:
        metrics.append(event)
    metrics.append({"step": 6, "nats": math.nan, "norm": math.inf, "none": None})
    assert metrics.read() == [*events, {"step": 6, "nats": None, "norm": None, "none": None}]
    for line in metrics.path.read_text().splitlines():
        json.loads(line, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_events_that_a_resumed_run_repeats_are_dropped(tmp_path: Path) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl")
    for step in (1, 2, 2, 3):
        metrics.append({"step": step})
    with metrics.path.open("a") as file:
        file.write('[1]\n{"step": 4, "na')
    assert [event["step"] for event in metrics.read()] == [1, 2, 2, 3]
    metrics.drop_after(2)
    assert metrics.read() == [{"step": 1}, {"step": 2}, {"step": 2}]
    assert metrics.path.read_text().endswith("}\n")
    before = metrics.path.read_bytes()
    metrics.drop_after(9)
    assert metrics.path.read_bytes() == before
