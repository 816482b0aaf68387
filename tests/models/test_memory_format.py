"""Gradients reach every convolution with the channels last in memory, as the states are."""

from __future__ import annotations

import pytest
import torch
from model_tools import BINARY, COLOUR, make
from torch import Tensor, nn

from mrvae.models import HVAE
from mrvae.recipes.schema import VDVAE, BoundedScaleSpec, Cell, TopDown

LAST = torch.channels_last


def case(cell: Cell, size: int, latent: int) -> HVAE:
    top_down = isinstance(cell, TopDown)
    blocks = ("4d2,2x1", "2x2,4m2,4x1") if top_down else ("8x2,8d2,4x1", "4x1,8m4,8x2")
    model = make(
        BINARY if size != 6 else COLOUR,
        encoder=blocks[0],
        decoder=blocks[1],
        size=size,
        latent=(latent,),
        cell=cell,
        scale=BoundedScaleSpec() if top_down else None,
        bias_up_to=0 if top_down else 64,
    )
    model.to(memory_format=LAST)  # type: ignore[call-overload]
    return model


def backward_orders(model: HVAE) -> list[tuple[str, bool]]:
    """Return, for every convolution that is called, whether its gradient has the channels last."""
    found: list[tuple[str, bool]] = []

    def watch(name: str) -> None:
        def after(_: nn.Module, __: tuple[Tensor, ...], out: Tensor) -> None:
            out.register_hook(  # type: ignore[no-untyped-call]
                lambda g: found.append((name, g.is_contiguous(memory_format=LAST)))
            )

        model.get_submodule(name).register_forward_hook(after)

    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            watch(name)
    frame = model.frame
    x = torch.randint(0, frame.bins, (3, *frame.shape))
    model.elbo(x.to(torch.uint8)).nats.sum().backward()  # type: ignore[no-untyped-call]
    return found


@pytest.mark.parametrize(
    ("cell", "size", "latent"),
    [(VDVAE(), 8, 3), (VDVAE(), 6, 3), (VDVAE(), 8, 1), (TopDown(), 4, 1), (TopDown(), 4, 2)],
)
def test_no_gradient_has_to_be_reordered(cell: Cell, size: int, latent: int) -> None:
    found = backward_orders(case(cell, size, latent))
    assert len(found) > 20
    # The head has one channel, or the likelihood's; its gradient is made by the likelihood.
    assert [name for name, last in found if not last and not name.startswith("head")] == []
