"""Properties of the attack: its ball, its optimum where that is known, and its gradients."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor
from torch.optim.lr_scheduler import ReduceLROnPlateau

import mrvae
from evaluation.deep import deep_model, digits
from evaluation.linear_gaussian import FRAME, problem
from mrvae.data import Images
from mrvae.distributions import MidRise, MidTread, Quantiser
from mrvae.evaluation import PlainGradient, SignGradient, attack
from mrvae.evaluation.robustness.ascent import Ascent, Objective
from mrvae.evaluation.robustness.attack import read, straight_through, symmetric_kl
from mrvae.evaluation.robustness.box import Box
from mrvae.evaluation.robustness.step_size import PlateauRate
from mrvae.models import HVAE, DCTContext

ASCENTS: tuple[Ascent, ...] = (PlainGradient(steps=3), SignGradient(steps=3))


@dataclass(frozen=True)
class Stay:
    """Climb nowhere."""

    def climb(self, objective: Objective, start: Tensor, box: Box) -> Tensor:
        return start


def deep() -> HVAE:
    model = deep_model()
    model.frame = replace(model.frame, bins=17)
    return model


def noise(*shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


# ----------------------------------------------------------------------------------------- ball


def test_no_point_of_the_box_is_outside_by_a_single_bit() -> None:
    for radius in [0.0, 0.05, 0.1, 0.2, 1.0]:
        for dtype in [torch.float32, torch.float64]:
            u = torch.arange(256, dtype=dtype) / 255
            box = Box.around(u, radius)
            for point in (box.low, box.high, box.project(u + noise(256, dtype=dtype))):
                assert ((point.double() - u.double()).abs() <= radius).all()
                assert ((point >= 0) & (point <= 1)).all()
            reach = torch.minimum(torch.full_like(u, radius), 1 - u)
            torch.testing.assert_close(box.high - u, reach, rtol=0, atol=1e-6)


@pytest.mark.parametrize("ascent", ASCENTS, ids=["plain", "sign"])
def test_every_attack_stays_in_its_ball(ascent: Ascent) -> None:
    model, images = deep(), digits(3)
    report = attack(model, images, ascent, radius=0.1, restarts=2)
    assert (report.distance <= 0.1).all()
    assert (report.distance > 0.09).all()
    assert ((report.images >= 0) & (report.images <= 16)).all()
    x = images.take(torch.arange(3)).double()[:, None]
    change = (report.images.double() - x).abs().flatten(2).amax(2) / 16
    torch.testing.assert_close(change, report.distance, rtol=0, atol=1e-6)


def test_no_room_no_divergence() -> None:
    report = attack(deep(), digits(2), SignGradient(steps=2), radius=0.0, restarts=2)
    assert report.nats.abs().max() == 0
    assert report.distance.abs().max() == 0
    torch.testing.assert_close(report.similarity, torch.ones(2, 2, dtype=torch.float64))


# -------------------------------------------------------------------------------------- optimum


def one_latent() -> tuple[HVAE, Tensor, Tensor]:
    """The linear model, an image, and the direction w in which its first mean moves, over σ."""
    made = problem()
    weight = made.posterior.outside[0] / made.posterior.scale[0] * 255 / FRAME.std
    return made.model(), torch.tensor([0.01, 0.4, 0.7, 0.97]).double().view(1, 1, 2, 2), weight


def test_the_divergence_of_a_linear_model_is_a_quadratic_form() -> None:
    """With one scale, ½KL + ½KL = ½ (w·ε)²."""
    model, u, weight = one_latent()
    moved = (u + 0.05 * noise(1, 1, 2, 2)).clamp(0, 1)
    found = symmetric_kl(read(model, moved, 1), read(model, u, 1))
    expected = ((moved - u).flatten() @ weight).square() / 2
    torch.testing.assert_close(found, expected[None], rtol=1e-9, atol=0)


def test_the_sign_reaches_the_best_corner() -> None:
    model, u, weight = one_latent()
    before, box = read(model, u, 1), Box.around(u, 0.1)
    corners = torch.tensor(list(itertools.product([0, 1], repeat=4)), dtype=torch.float64)
    ends = box.low.flatten() + corners * (box.high - box.low).flatten()
    most = ((ends - u.flatten()) @ weight).square().max() / 2

    def objective(v: Tensor) -> Tensor:
        return symmetric_kl(read(model, v, 1), before)

    starts = [box.start(u, noise(8, 1, 2, 2)[k : k + 1]) for k in range(8)]
    reached = torch.cat([objective(SignGradient().climb(objective, s, box)) for s in starts])
    assert (reached <= most * (1 + 1e-9)).all()
    assert reached.max().item() == pytest.approx(most.item(), rel=1e-6)


def test_the_best_point_on_the_way_is_kept() -> None:
    """A last step into a trap does not undo what was reached."""
    u = torch.full((2, 1), 0.5, dtype=torch.float64)
    box = Box.around(u, 0.5)

    def peak(v: Tensor) -> Tensor:
        return -(v - 0.6).abs().flatten()

    end = SignGradient(steps=2, lead=0.0).climb(peak, u + 0.05, box)
    torch.testing.assert_close(end, u + 0.05)
    assert (PlainGradient(steps=1).climb(peak, u + 0.05, box) == 1).all()


def test_a_rate_falls_as_torch_lets_it() -> None:
    values = (5 + 0.01 * noise(90)).tolist() + (6 + 0.0001 * noise(60)).tolist()
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimiser = torch.optim.SGD([parameter], lr=1.0)
    optimiser.step()
    theirs = ReduceLROnPlateau(optimiser, patience=20, factor=0.5)
    ours = PlateauRate.begin(1, 1.0, parameter.detach())
    rates = []
    for value in values:
        theirs.step(-value)
        ours = ours.after(torch.tensor([value]), 20, 0.5)
        rates.append(ours.rate.item())
        assert rates[-1] == optimiser.param_groups[0]["lr"]
    assert rates[-1] < 1


@pytest.mark.slow
def test_the_sign_reaches_more_than_the_plain_gradient() -> None:
    """On the shipped model the top latent is idle: its gradient is small, and its sign is not."""
    model, images = mrvae.load("digits-vdvae"), digits(3)
    for keep, least in ((1, 2.0), (3, 1.0)):
        plain, sign = (
            attack(model, images, ascent, radius=0.1, keep=keep, restarts=2).nats.mean()
            for ascent in (PlainGradient(steps=25), SignGradient(steps=40))
        )
        assert sign > least * plain


# ----------------------------------------------------------------------------------------- rows


def test_an_attack_does_not_depend_on_its_neighbours() -> None:
    model, images = deep().double(), digits(3)
    together = attack(model, images, SignGradient(steps=4), radius=0.1, restarts=2, keep=3)
    alone = attack(model, images, SignGradient(steps=4), radius=0.1, restarts=2, keep=3, memory=1)
    torch.testing.assert_close(alone.nats, together.nats, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(alone.images, together.images, rtol=0, atol=1e-9)
    first = Images(images.take(torch.arange(1)), "one", "test", bins=17)
    one = attack(model, first, SignGradient(steps=4), radius=0.1, restarts=1, keep=3)
    torch.testing.assert_close(one.images[0, 0], together.images[0, 0], rtol=0, atol=1e-9)
    more = attack(model, images, PlainGradient(steps=4), radius=0.1, restarts=2, keep=3, memory=1)
    same = attack(model, images, PlainGradient(steps=4), radius=0.1, restarts=2, keep=3)
    torch.testing.assert_close(more.nats, same.nats, rtol=1e-7, atol=1e-9)


def test_starts_are_those_of_seed_attack_and_image() -> None:
    model, images = deep(), digits(2)
    first, again, other = (
        attack(model, images, Stay(), radius=0.1, restarts=2, keep=1, seed=s) for s in (0, 0, 1)
    )
    assert torch.equal(first.images, again.images)
    changes = first.images - images.take(torch.arange(2))[:, None]
    assert not torch.equal(changes[:, 0], changes[:, 1])
    assert not torch.equal(changes[0], changes[1])
    assert not torch.equal(first.images, other.images)


def test_the_strongest_attack_has_the_largest_objective() -> None:
    report = attack(deep(), digits(2), Stay(), radius=0.2, restarts=3)
    assert torch.equal(report.worst(report.objective), report.objective.amax(dim=1))
    assert report.summary()["symmetric_kl"] == pytest.approx(report.nats.mean().item())


# -------------------------------------------------------------------------------------- context


@pytest.mark.parametrize("quantiser", [MidRise(bits=3), MidTread(step=0.3)], ids=["rise", "tread"])
def test_a_context_passes_the_gradient_straight_through(quantiser: Quantiser) -> None:
    context = DCTContext((1, 4, 4), size=2, quantiser=quantiser, bins=17)
    pixels = torch.randint(0, 17, (20, 1, 4, 4), dtype=torch.uint8)
    context.fit(pixels)
    levels, _ = context.place(pixels.double())
    assert torch.equal(levels, context.encode(pixels))

    x = (4 + noise(3, 1, 4, 4)).requires_grad_()
    levels, places = context.place(x)
    conditioning, weight = straight_through(levels, places), noise(3, 1, 2, 2)
    assert torch.equal(conditioning, levels.double())
    assert (conditioning - places).abs().max() <= 0.5 + 1e-9
    (through,) = torch.autograd.grad((weight * conditioning).sum(), x)
    # Per level a coefficient has to move by one spacing: that of decode.
    zero = torch.zeros_like(levels)
    step = quantiser.decode(zero + 1, context.scale) - quantiser.decode(zero, context.scale)
    smooth = context.analyse(context.bins.to_unit(x, torch.float64)) / step
    (expected,) = torch.autograd.grad((weight * smooth).sum(), x)
    torch.testing.assert_close(through, expected)
    assert through.abs().max() > 0


def test_a_context_is_attacked_by_its_places_and_has_no_divergence() -> None:
    torch.manual_seed(0)
    model = mrvae.build(mrvae.recipe("digits-dct")).eval()
    images = digits(4)
    model.context.fit(images.take(torch.arange(4)))
    start, end = (
        attack(model, images, ascent, radius=0.2, keep=1, restarts=2)
        for ascent in (Stay(), SignGradient(steps=8))
    )
    assert end.nats.abs().max() == 0
    assert (end.objective > start.objective).all()
    assert end.moved.sum() > start.moved.sum()


@pytest.mark.parametrize(
    ("change", "message"),
    [({"radius": -0.1}, "radius is -0.1"), ({"restarts": 0}, "restarts is 0")],
)
def test_an_attack_that_cannot_be_is_refused(change: dict[str, float], message: str) -> None:
    radius, restarts = change.get("radius", 0.1), int(change.get("restarts", 1))
    with pytest.raises(ValueError, match=message):
        attack(deep(), digits(1), Stay(), radius=radius, restarts=restarts)
    with pytest.raises(ValueError, match="keep is 99"):
        attack(deep(), digits(1), Stay(), radius=0.1, keep=99)
    with pytest.raises(ValueError, match="expected 0 … 16"):
        read(deep(), torch.full((1, 1, 8, 8), 1.5), 1)
