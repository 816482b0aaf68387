"""Properties of the ascent along the sign, on functions whose optimum in a box is known."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from torch import Tensor

from mrvae.evaluation import PlainGradient, SignGradient
from mrvae.evaluation.robustness.ascent import Objective
from mrvae.evaluation.robustness.box import Box
from mrvae.evaluation.robustness.step_size import marks

PIXELS, ROWS, RADIUS = 10, 16, 0.1


def normal(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64)


def box_and_starts(rows: int = ROWS) -> tuple[Box, Tensor]:
    u = torch.linspace(0.02, 0.98, PIXELS, dtype=torch.float64).expand(rows, PIXELS)
    box = Box.around(u, RADIUS)
    return box, box.start(u, normal(rows, PIXELS, seed=1))


def corners(box: Box) -> Tensor:
    """All corners of the first row's box."""
    high = torch.tensor(list(itertools.product([False, True], repeat=PIXELS)))
    return torch.where(high, box.high[0], box.low[0])


def form(box: Box, scale: float = 1.0, seed: int = 2) -> Objective:
    """A convex quadratic form of rank 4 about the middle: many corners are local maxima."""
    middle = (box.low + box.high)[0] / 2
    weight = scale * normal(4, PIXELS, seed=seed) * torch.logspace(0, -1, PIXELS)
    return lambda v: ((v - middle) @ weight.T.to(v)).square().sum(dim=1)


# --------------------------------------------------------------------------------------- optimum


def test_a_linear_function_is_climbed_to_the_top() -> None:
    for scale in [1e-9, 1.0, 1e9]:
        for steps in [2, 3, 20, 100]:
            box, starts = box_and_starts()
            slope = scale * normal(PIXELS)
            end = SignGradient(steps).climb(slope.inner, starts, box)
            assert torch.equal(end, torch.where(slope > 0, box.high, box.low))


@pytest.mark.parametrize("seed", range(2, 6))
def test_the_lead_chooses_a_better_corner_than_a_start_has(seed: int) -> None:
    """Of all corners the best is known; without the lead, or by the plain gradient, it is rarer."""
    box, starts = box_and_starts(32)
    f = form(box, seed=seed)
    most = f(corners(box)).max() * (1 + 1e-12)
    led, bare, plain = (
        f(ascent.climb(f, starts, box)) / most
        for ascent in (SignGradient(), SignGradient(lead=0.0), PlainGradient(steps=100))
    )
    assert led.max().item() == pytest.approx(1.0)
    assert max(each.max() for each in (led, bare, plain)) <= 1
    assert led.mean() > max(bare.mean(), plain.mean()) + 0.01


def test_the_climb_of_a_convex_function_ends_where_no_slope_leads_on() -> None:
    for scale in [1e-4, 1.0, 1e4]:
        box, starts = box_and_starts()
        f = form(box, scale)
        end = SignGradient().climb(f, starts, box).requires_grad_()
        (slope,) = torch.autograd.grad(f(end).sum(), end)
        assert torch.equal(end, torch.where(slope > 0, box.high, box.low))


def test_the_sign_does_not_see_how_steep_a_function_is() -> None:
    """The plain gradient does: where it is small, hardly anything is reached."""
    box, starts = box_and_starts()
    steep, flat = form(box), form(box, 2.0**-10)
    ends = [SignGradient().climb(f, starts, box) for f in (steep, flat)]
    assert torch.equal(*ends)
    left = PlainGradient(steps=100).climb(flat, starts, box)
    assert steep(left).mean() < 0.5 * steep(ends[0]).mean()


@pytest.mark.parametrize("spread", [0.0, 3.0])
def test_a_peak_inside_is_come_near_to(spread: float) -> None:
    """However unequal the curvatures: lengths fall to about a hundredth of the radius."""
    box, starts = box_and_starts()
    peak = box.low + (box.high - box.low) * normal(PIXELS, seed=3).sigmoid()
    curvature = torch.logspace(0, spread, PIXELS, dtype=torch.float64)
    end = SignGradient().climb(lambda v: -(curvature * (v - peak).square()).sum(dim=1), starts, box)
    assert (end - peak).abs().max() < 0.05 * RADIUS


def test_ripples_do_not_hold_it_up() -> None:
    """A slope with many local maxima along every axis: its top is a corner's neighbourhood."""
    box, starts = box_and_starts()
    slope = normal(PIXELS).sign()

    def f(v: Tensor) -> Tensor:
        return (slope * v + 0.01 * torch.sin(2 * math.pi * v / 0.025)).sum(dim=1)

    line = box.low[0] + torch.linspace(0, 1, 4001).double()[:, None] * (box.high - box.low)[0]
    each = slope * line + 0.01 * torch.sin(2 * math.pi * line / 0.025)
    top, floor = each.amax(dim=0).sum(), f((box.low + box.high) / 2)[0]
    share, plain = (
        (f(ascent.climb(f, starts, box)) - floor) / (top - floor)
        for ascent in (SignGradient(), PlainGradient(steps=100))
    )
    assert share.min() > 0.9
    assert share.mean() > plain.mean()


# ------------------------------------------------------------------------------------------ rows


def literal(f: Objective, start: Tensor, box: Box, steps: int) -> Tensor:
    """Algorithm 1 of Croce & Hein (2020) for one row, by its letters; a restart has no momentum."""

    def along(x: Tensor, eta: float) -> Tensor:
        x = x.clone().requires_grad_()
        (slope,) = torch.autograd.grad(f(x).sum(), x)
        return box.project(x.detach() + eta * slope.sign())

    w, eta = [0, *sorted(marks(steps))], 2 * box.radius
    x = [start, along(start, eta)]
    best, grown = max(x, key=f), [f(x[1]) > f(x[0])]
    etas, records = [math.nan], [f(start)]
    for k in range(1, steps):
        if k in w:
            enough = sum(grown) >= 0.75 * (k - w[w.index(k) - 1])
            idle = eta == etas[-1] and f(best) == records[-1]
            etas.append(eta)
            records.append(f(best))
            grown = []
            if idle or not enough:
                eta, x = eta / 2, [best, best]
        new = box.project(x[-1] + 0.75 * (along(x[-1], eta) - x[-1]) + 0.25 * (x[-1] - x[-2]))
        grown.append(f(new) > f(x[-1]))
        x.append(new)
        best = max(best, new, key=f)
    return best


@pytest.mark.parametrize("steps", [5, 60])
def test_rows_together_are_the_published_algorithm_row_by_row(steps: int) -> None:
    box, starts = box_and_starts(6)
    f = form(box)

    def objective(v: Tensor) -> Tensor:
        return f(v) - 0.2 * (v - 0.5).abs().sum(dim=1) + 0.01 * torch.cos(90 * v).sum(dim=1)

    together = SignGradient(steps, lead=0.0).climb(objective, starts, box)
    for row in range(6):
        part = slice(row, row + 1)
        one = Box(box.low[part], box.high[part], box.radius)
        expected = literal(objective, starts[part], one, steps)
        torch.testing.assert_close(together[part], expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_type_of_the_images_is_kept(dtype: torch.dtype) -> None:
    u = torch.full((2, 3), 0.5, dtype=dtype)
    box = Box.around(u, RADIUS)
    seen = set()

    def f(v: Tensor) -> Tensor:
        seen.add(v.dtype)
        return v.sum(dim=1)

    assert SignGradient(steps=5).climb(f, u, box).dtype == dtype
    assert seen == {dtype}
