"""How the cells differ: what the state keeps, and how a latent enters it."""

from __future__ import annotations

import pytest
import torch
from model_tools import images, make, noise
from torch import Tensor

from helpers.narrow import gaussian
from mrvae.distributions import Gaussian
from mrvae.models import HVAE, Encoder
from mrvae.models.cells.base import LatentCell
from mrvae.models.hierarchy.walk import Choose, given
from mrvae.recipes.schema import NVAE, VDVAE, Cell, Markov, Plain

CELLS: tuple[Cell, ...] = (VDVAE(), NVAE(), Markov(), Plain())
ONE_LEVEL = ("8x3", "8x3")


def cell_model(cell: Cell, normalise: bool = False, seed: int | None = 0) -> HVAE:
    encoder, decoder = ONE_LEVEL
    return make(encoder=encoder, decoder=decoder, cell=cell, normalise=normalise, seed=seed)


def set_to_zero(model: HVAE, *endings: str) -> None:
    """Set to zero every parameter of the decoder whose name has one of these parts."""
    with torch.no_grad():
        for name, parameter in model.decoder.named_parameters():
            if any(part in name for part in endings):
                parameter.zero_()


def next_state(model: HVAE, h: Tensor, z: Tensor) -> Tensor:
    cell = model.stages[0].visits[0]
    return cell.advance(cell.prior(h)[1], z)


def state_and_latent() -> tuple[Tensor, Tensor]:
    stream = torch.Generator().manual_seed(3)
    h = torch.randn(2, 8, 8, 8, generator=stream, dtype=torch.float64)
    return h, torch.randn(2, 3, 8, 8, generator=stream, dtype=torch.float64)


@pytest.mark.parametrize(
    ("cell", "normalise"), [*((cell, False) for cell in CELLS), (VDVAE(), True)]
)
def test_every_parameter_of_every_cell_is_used(cell: Cell, normalise: bool) -> None:
    model = cell_model(cell, normalise)
    x = images(model, 3)
    model.elbo(x, noise(model, 3)).nats.mean().backward()  # type: ignore[no-untyped-call]
    idle = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.any()]
    assert idle == []


def test_posterior_and_prior_together_are_the_two_by_themselves() -> None:
    h, _ = state_and_latent()
    for cell in CELLS:
        for visit in cell_model(cell).decoder.stages[0].visits:
            if not isinstance(visit, LatentCell):
                pytest.fail(f"{cell} has no cell whose posterior and prior share operations")
            posterior, prior, state = visit.posterior_and_prior(h, h.square())
            expected, after = visit.prior(h)
            assert torch.equal(state, after)
            for mine, own in ((posterior, visit.posterior(h, h.square())), (prior, expected)):
                assert torch.equal(gaussian(mine).mean, gaussian(own).mean)
                assert torch.equal(gaussian(mine).log_scale, gaussian(own).log_scale)


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: type(cell).__name__)
def test_every_prior_begins_as_a_standard_normal(cell: Cell) -> None:
    h, _ = state_and_latent()
    zero = torch.zeros(1, dtype=torch.float64)
    for visit in cell_model(cell, seed=None).decoder.stages[0].visits:
        assert gaussian(visit.prior(h)[0]).kl(Gaussian(zero, zero)).abs().max() < 1e-12


def test_with_zero_networks_only_residual_states_survive() -> None:
    """Without its networks VDVAE's cell is h + P z, NVAE's is h, and the others forget h."""
    h, z = state_and_latent()
    left = {}
    for cell in CELLS:
        model = cell_model(cell)
        set_to_zero(model, "prior_net", "residual")
        left[type(cell)] = next_state(model, h, z) - h
    torch.testing.assert_close(left[VDVAE], projected(VDVAE(), z), rtol=0, atol=1e-12)
    assert torch.equal(left[NVAE], torch.zeros_like(h))
    assert torch.equal(left[Plain], -h)
    torch.testing.assert_close(left[Markov] + h, projected(Markov(), z), rtol=0, atol=1e-12)


def projected(cell: Cell, z: Tensor) -> Tensor:
    """Return P z of the first cell of a model."""
    decoder = cell_model(cell).decoder
    weight, bias = (
        decoder.get_parameter(f"modules_.0.cells.0.project.{name}") for name in ("weight", "bias")
    )
    return torch.nn.functional.conv2d(z, weight, bias)


def test_a_markov_prior_depends_on_the_last_latent_only() -> None:
    """With another first latent and the same second, only a residual state moves the third."""
    for cell, remembers in ((VDVAE(), True), (NVAE(), True), (Plain(), True), (Markov(), False)):
        model = cell_model(cell)
        priors = [third_prior(model, first) for first in (0.0, 1.0)]
        same = torch.allclose(priors[0].mean, priors[1].mean, rtol=0, atol=1e-12)
        assert same is not remembers


def third_prior(model: HVAE, first: float) -> Gaussian:
    shape = (1, *model.latent_shapes[0])
    fixed = torch.full(shape, 0.3, dtype=torch.float64)
    choices: list[Choose] = [given(torch.full_like(fixed, first)), given(fixed), given(fixed)]
    steps = model.trace(model.condition(()), choices, noise(model, 1)).steps
    return gaussian(steps[2].prior)


def test_a_plain_cell_has_the_networks_of_vdvae() -> None:
    plain, vdvae = cell_model(Plain()), cell_model(VDVAE())
    assert {name: p.shape for name, p in plain.named_parameters()} == {
        name: p.shape for name, p in vdvae.named_parameters()
    }


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: type(cell).__name__)
def test_a_normalised_state_has_norm_one_after_every_block(cell: Cell) -> None:
    model = cell_model(cell, normalise=True)
    x = images(model, 3)
    encoder = model.encoder
    assert isinstance(encoder, Encoder)
    states = encoder.states(model.frame.prepare(x, torch.float64))
    norms = [h.flatten(1).norm(dim=1) for _, h in states]
    h, z = state_and_latent()
    norms += [next_state(model, scale * h, z).flatten(1).norm(dim=1) for scale in (1.0, 50.0)]
    assert len(norms) == 5
    for norm in norms:
        torch.testing.assert_close(norm, torch.ones_like(norm), rtol=0, atol=1e-12)
    free = cell_model(cell)
    assert (next_state(free, h, z).flatten(1).norm(dim=1) - 1).abs().min() > 0.1


@pytest.mark.parametrize("cell", CELLS, ids=lambda cell: type(cell).__name__)
def test_repeats_change_the_first_weights_only_where_terms_are_added_up(cell: Cell) -> None:
    """1/√n belongs to a sum over n applied cells; a product of n maps must not be shrunk."""

    def spread(repeat: int) -> float:
        torch.manual_seed(0)
        model = make(encoder="4x1", decoder=f"4x4r{repeat}", size=4, cell=cell, seed=None)
        ends = [
            p.detach().flatten()
            for name, p in model.decoder.named_parameters()
            if name.endswith("residual.leave.weight")
        ]
        return float(torch.cat(ends).std())

    added_up = isinstance(cell, VDVAE | NVAE)
    assert spread(9) == pytest.approx(spread(1) / 3 if added_up else spread(1), rel=1e-6)
