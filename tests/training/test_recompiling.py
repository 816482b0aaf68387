"""Blocks and cells are compiled once for each shape: however many there are, whatever the step."""

from __future__ import annotations

import pytest
import torch
from torch._dynamo.utils import counters

from helpers.tiny_run import compile_with, tiny, updater
from mrvae.data import images_for
from mrvae.evaluation import evaluate
from mrvae.training.compiling import try_compile
from mrvae.training.validation import validate

TWO_OF_EACH = ("encoder=8x2,8d2,4x2", "decoder=4x2,8m4,8x2")
DEEP = ("encoder=8x4,8d2,4x3", "decoder=4x3,8m4,8x5")


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


def compiled_graphs(*changes: str) -> int:
    """Count the graphs of a model; what is traced counts, not what a back end makes of it."""
    torch.compiler.reset()
    before = graphs()
    with pytest.MonkeyPatch.context() as patch:
        compile_with(patch, "eager")
        assert try_compile(updater(tiny(*changes))) is not None
    return graphs() - before


@pytest.mark.slow
def test_a_deep_model_has_no_more_graphs_than_a_shallow_one() -> None:
    """A block and a cell of either resolution; and the first cell, whose state has no batch."""
    assert compiled_graphs(*TWO_OF_EACH) == compiled_graphs(*DEEP) == 5
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_neither_steps_nor_the_last_batch_compile_anything_again(accumulate: int) -> None:
    """Twenty images in batches of eight, or four, and one of what is left."""
    recipe = tiny(f"accumulate={accumulate}")
    images = images_for(recipe, "validation").subset(torch.arange(18))
    state = updater(recipe)
    torch.compiler.reset()
    with pytest.MonkeyPatch.context() as patch:
        compile_with(patch, "eager")
        assert try_compile(state) is not None
        before = graphs()
        with torch._dynamo.config.patch(error_on_recompile=True):
            for step in range(3):
                state.update(step)
                validate(state, images)
            evaluate(state.model, images, samples=2, memory=1)
    assert graphs() == before
    torch.compiler.reset()
