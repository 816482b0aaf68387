"""A compiled model is compiled once: for training, and for scoring without gradients."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch._dynamo.utils import counters

from helpers.tiny_run import tiny, updater
from mrvae.data import images_for
from mrvae.evaluation import evaluate
from mrvae.training.compiling import try_compile
from mrvae.training.validation import validate

TRACE = nn.Module.compile


def graphs() -> int:
    return int(counters["stats"]["unique_graphs"])


@pytest.mark.slow
@pytest.mark.parametrize("accumulate", [1, 2])
def test_neither_steps_nor_the_last_batch_compile_anything_again(accumulate: int) -> None:
    """Twenty images in batches of eight, or four, and one of what is left."""
    recipe = tiny(f"accumulate={accumulate}")
    images = images_for(recipe, "validation").subset(torch.arange(18))
    state = updater(recipe)
    torch.compiler.reset()
    before = graphs()
    with pytest.MonkeyPatch.context() as patch:
        # What is traced is what counts here, not what a back end makes of it.
        patch.setattr(nn.Module, "compile", lambda self: TRACE(self, backend="eager"))
        assert try_compile(state) is not None
    assert graphs() == before + 2
    with torch._dynamo.config.patch(error_on_recompile=True):
        for step in range(3):
            state.update(step)
            validate(state, images)
        evaluate(state.model, images, samples=2, memory=1)
    assert graphs() == before + 2
    torch.compiler.reset()
