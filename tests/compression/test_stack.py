"""The stack: pop undoes push, push undoes pop, and a message has -log₂ P bits."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mrvae.compression.coding.stack import Stack
from mrvae.compression.coding.symbols import (
    RoundedCentredGaussian,
    RoundedGaussian,
    SymbolModel,
    Symbols,
    SymbolTable,
    min_symbol_bits,
)
from mrvae.compression.coding.symbols import weights_of as weights

Maker = Callable[[np.random.Generator, int], tuple[SymbolModel, Symbols]]
REACH = 48


def table(rng: np.random.Generator, count: int) -> tuple[SymbolModel, Symbols]:
    """Return tables, some nearly certain, and symbols drawn from flatter ones."""
    bins = int(rng.integers(2, 257))
    pmf = rng.dirichlet(np.full(bins, 0.05), size=count)
    chosen = [rng.choice(bins, p=(row + 0.1 / bins) / 1.1) for row in pmf]
    return SymbolTable(weights(pmf)), np.array(chosen, dtype=np.int32)


def rounded(rng: np.random.Generator, count: int) -> tuple[SymbolModel, Symbols]:
    mean = rng.normal(0, 30, count)
    scale = np.exp(rng.uniform(-8, 8, count))
    near = np.rint(rng.normal(mean, scale)).clip(-REACH, REACH)
    anywhere = rng.integers(-REACH, REACH + 1, count)
    symbols = np.where(rng.random(count) < 0.9, near, anywhere)
    return RoundedGaussian(mean, scale, REACH), symbols.astype(np.int32)


def standard(rng: np.random.Generator, count: int) -> tuple[SymbolModel, Symbols]:
    scale = float(np.exp(rng.uniform(-2, 3)))
    symbols = np.rint(rng.normal(0, scale, count)).clip(-REACH, REACH)
    return RoundedCentredGaussian(count, scale, REACH), symbols.astype(np.int32)


MAKERS: tuple[Maker, ...] = (table, rounded, standard)


def message(rng: np.random.Generator, words: int) -> Stack:
    return Stack(np.append(rng.integers(0, 1 << 32, words), 1).astype(np.uint32))


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(MAKERS), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_pop_undoes_push(seed: int, makers: list[Maker]) -> None:
    rng = np.random.default_rng(seed)
    made = [make(rng, int(rng.integers(0, 40))) for make in makers]
    stack = message(rng, 5)
    before = stack.words
    for model, symbols in made:
        stack.push(model, symbols)
    again = Stack.from_bytes(stack.to_bytes())
    for model, symbols in reversed(made):
        np.testing.assert_array_equal(again.pop(model), symbols)
    np.testing.assert_array_equal(again.words, before)
    assert abs(stack.ideal + again.ideal) < 1e-6


@given(st.integers(0, 2**32 - 1), st.lists(st.sampled_from(MAKERS), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None, derandomize=True)
def test_push_undoes_pop_even_of_an_empty_message(seed: int, makers: list[Maker]) -> None:
    rng = np.random.default_rng(seed)
    models = [make(rng, 30)[0] for make in makers]
    stack = message(rng, int(rng.integers(1, 200))) if seed % 3 else Stack()
    before = stack.words
    popped = [stack.pop(model) for model in models]
    for model, symbols in reversed(list(zip(models, popped, strict=True))):
        stack.push(model, symbols)
    np.testing.assert_array_equal(stack.words, before)


@pytest.mark.parametrize("make", MAKERS)
def test_a_message_has_the_bits_of_its_distributions(make: Maker) -> None:
    """To 64 bits for the ends of the message, and a thousandth for rounding."""
    rng = np.random.default_rng(1)
    model, symbols = make(rng, 20_000)
    stack = Stack()
    stack.push(model, symbols)
    assert stack.ideal == model.bits(symbols) > 5_000
    assert abs(stack.bits - stack.ideal) < 64 + 1e-3 * stack.ideal


@pytest.mark.parametrize("scale", [0.01, 0.5, 4.0, 300.0])
def test_masses_of_rounded_gaussians_sum_to_one(scale: float) -> None:
    symbols = np.arange(-REACH, REACH + 1, dtype=np.int32)
    for mean in (0.0, 3.3, -47.9, 60.0):
        models = [RoundedGaussian(np.array([mean]), np.array([scale]), REACH) for _ in symbols]
        masses = [2.0 ** -model.bits(symbols[i : i + 1]) for i, model in enumerate(models)]
        assert abs(sum(masses) - 1) < 1e-12


def test_the_centred_gaussian_is_the_gaussian_of_mean_zero() -> None:
    rng = np.random.default_rng(2)
    symbols = rng.integers(-REACH, REACH + 1, 97).astype(np.int32)
    one = RoundedCentredGaussian(97, 4.0, REACH)
    many = RoundedGaussian(np.zeros(97), np.full(97, 4.0), REACH)
    stacks = [Stack(), Stack()]
    stacks[0].push(one, symbols)
    stacks[1].push(many, symbols)
    np.testing.assert_array_equal(stacks[0].words, stacks[1].words)


def test_every_symbol_of_a_table_is_possible_and_none_is_free() -> None:
    pmf = np.zeros((1, 256))
    pmf[0, 7] = 1.0
    model = SymbolTable(weights(pmf))
    bits = [model.bits(np.array([s], dtype=np.int32)) for s in range(256)]
    assert max(bits) < 16.01
    assert min(bits) == bits[7] == pytest.approx(min_symbol_bits(256))


def test_parameters_that_would_abort_the_coder_are_refused() -> None:
    for mean, scale in ((np.nan, 1.0), (-np.inf, 1.0), (0.0, 0.0), (0.0, -1.0), (0.0, np.nan)):
        with pytest.raises(ValueError, match="damaged"):
            RoundedGaussian(np.array([mean]), np.array([scale]), REACH)


def test_wrong_messages_symbols_and_probabilities_are_refused() -> None:
    with pytest.raises(ValueError, match="is zero"):
        Stack(np.array([1, 0], dtype=np.uint32))
    with pytest.raises(ValueError, match="1 symbols are given for 2 distributions"):
        Stack().push(RoundedCentredGaussian(2, 1.0, 3), np.zeros(1, dtype=np.int32))
    with pytest.raises(ValueError, match=r"not in|no finite numbers"):
        weights(np.array([[0.5, np.nan]]))
