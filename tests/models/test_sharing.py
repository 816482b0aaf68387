"""Weights shared in time: one module, visited several times in a row."""

from __future__ import annotations

import pytest
import torch
from model_tools import images, make, noise, randomise
from torch import nn

import mrvae
from mrvae.models import HVAE, Encoder
from mrvae.models.build import build
from mrvae.models.hierarchy.decoder import CellStage


def shared_model() -> HVAE:
    return make(encoder="8x2r3,8d2,4r2", decoder="4r4,8m4,8x2r3")


def visited_once() -> HVAE:
    return make(encoder="8x2,8d2,4x1", decoder="4x1,8m4,8x2")


def unshared_model() -> HVAE:
    return make(encoder="8x6,8d2,4x2", decoder="4x4,8m4,8x6", seed=1)


def copy_each(source: nn.Module, target: nn.Module, times: int, first: int = 0) -> None:
    """Copy module k ≥ first of a list to ``times`` neighbours of another: A B → A A B B."""
    ours, theirs = list(source.children()), list(target.children())
    for k, module in enumerate(ours[first:]):
        for repeat in range(times):
            theirs[first + k * times + repeat].load_state_dict(module.state_dict())
    for module, other in zip(ours[:first], theirs[:first], strict=True):
        other.load_state_dict(module.state_dict())


def unroll(shared: HVAE, unshared: HVAE) -> None:
    """Give the unshared model the weights of the shared one, once for each visit."""
    for name, parameter in shared.encoder.named_parameters():
        if not name.startswith("stacks."):
            unshared.encoder.get_parameter(name).data.copy_(parameter.data)
    unshared.head.load_state_dict(shared.head.state_dict())
    one, other = shared.encoder, unshared.encoder
    assert isinstance(one, Encoder)
    assert isinstance(other, Encoder)
    for source, target, level in zip(one.stacks, other.stacks, one.levels, strict=True):
        copy_each(source, target, level.block_repeat)
    for a, b in zip(shared.decoder.stages, unshared.decoder.stages, strict=True):
        assert isinstance(a, CellStage)
        assert isinstance(b, CellStage)
        assert a.bias is not None
        assert b.bias is not None
        b.bias.data.copy_(a.bias.data)
        copy_each(a.cells, b.cells, a.level.repeat, first=len(a.cells) - a.level.cells)


def test_a_shared_model_equals_the_unshared_one_with_copied_weights() -> None:
    shared, unshared = shared_model(), unshared_model()
    unroll(shared, unshared)
    assert shared.stochastic_depth == unshared.stochastic_depth == 11
    x, given = images(shared, 3), noise(shared, 3)
    ours, theirs = shared.elbo(x, given), unshared.elbo(x, given)
    torch.testing.assert_close(ours.kl, theirs.kl, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(ours.log_likelihood, theirs.log_likelihood, rtol=1e-12, atol=1e-12)
    z = shared.encode(x)
    for mine, other in zip(z, unshared.encode(x), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-12, atol=1e-12)
    assert torch.equal(shared.decode(z), unshared.decode(z))


def test_repeats_change_neither_parameters_nor_their_names() -> None:
    shared, once = shared_model(), visited_once()
    assert {name: p.shape for name, p in shared.named_parameters()} == {
        name: p.shape for name, p in once.named_parameters()
    }
    once.load_state_dict(shared.state_dict())


def test_a_shared_gradient_is_the_sum_over_visits() -> None:
    shared, unshared = shared_model(), unshared_model()
    unroll(shared, unshared)
    x, given = images(shared, 3), noise(shared, 3)
    for model in (shared, unshared):
        model.elbo(x, given).nats.sum().backward()  # type: ignore[no-untyped-call]
    fine, fine_unshared = shared.decoder.stages[1], unshared.decoder.stages[1]
    assert isinstance(fine, CellStage)
    assert isinstance(fine_unshared, CellStage)
    for k in range(2):
        copies = [fine_unshared.cells[1 + 3 * k + repeat] for repeat in range(3)]
        for name, parameter in fine.cells[1 + k].named_parameters():
            parts = [copy.get_parameter(name).grad for copy in copies]
            total = sum((part for part in parts if part is not None), torch.zeros(()))
            torch.testing.assert_close(parameter.grad, total, rtol=1e-9, atol=1e-12)


def test_repeats_can_be_changed_on_the_same_weights() -> None:
    """Built with other repeats, a model is the one whose block strings say so."""
    recipe = mrvae.recipe("falck2022-mnist-r2")
    deeper, written = build(recipe, repeat=3), build(mrvae.recipe("falck2022-mnist-r3"))
    randomise(deeper.double(), 0)
    written.double().load_state_dict(deeper.state_dict())
    x, given = images(written, 1), noise(written, 1)
    assert deeper.stochastic_depth == written.stochastic_depth == 19
    assert torch.equal(deeper.elbo(x, given).kl, written.elbo(x, given).kl)


def test_repeats_out_of_range_are_refused() -> None:
    for repeat in (0, 100_000):
        with pytest.raises(ValueError, match="repeat"):
            build(mrvae.recipe("falck2022-mnist-r2"), repeat=repeat)
