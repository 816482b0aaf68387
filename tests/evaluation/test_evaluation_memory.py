from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping, Sequence

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

import mrvae
from mrvae.evaluation.memory import row_bytes, rows_within
from mrvae.models import HVAE
from mrvae.recipes import override

SMALL = ["digits-vdvae", "mnist-vdvae", "omniglot-vdvae", "cifar10-vdvae-small"]


class Alive(TorchDispatchMode):
    """Counts the bytes of the storages that were made and are still referred to, and their peak."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = 0
        self.peak = 0
        self.known: set[int] = set()

    def __torch_dispatch__(
        self,
        func: Callable[..., object],
        types: Sequence[type],
        args: Sequence[object] = (),
        kwargs: Mapping[str, object] | None = None,
    ) -> object:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else (result,):
            if isinstance(value, Tensor):
                self._watch(value.untyped_storage())
        return result

    def _watch(self, storage: torch.UntypedStorage) -> None:
        pointer, size = storage.data_ptr(), storage.nbytes()
        if pointer in self.known:
            return
        self.known.add(pointer)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._forget, pointer, size)

    def _forget(self, pointer: int, size: int) -> None:
        self.known.discard(pointer)
        self.now -= size


def peak(model: HVAE, rows: int) -> int:
    """Return the most bytes that are alive while ``rows`` draws are weighed."""
    frame = model.frame
    x = torch.zeros(rows, frame.channels, frame.size, frame.size, dtype=torch.uint8)
    with torch.no_grad(), Alive() as alive:
        features = model.features(x)
        noise = model.noise(rows)
        model.terms(features, x, noise)
        model.weigh(features, x, noise[None])
    most: int = alive.peak
    return most


def test_the_count_of_live_bytes_is_right() -> None:
    with Alive() as alive:
        a = torch.zeros(1000)
        b = a + 1
        del a
        c = b.view(10, 100) + 1
        del b
    assert (alive.peak, alive.now) == (8000, 4000)
    assert c.sum() == 2000


@pytest.mark.parametrize("name", SMALL)
def test_rows_take_no_more_than_is_estimated_and_not_much_less(name: str) -> None:
    model = mrvae.build(mrvae.recipe(name))
    each = peak(model, 3) / 3
    assert each <= row_bytes(model) < 8 * each


def test_wider_mixtures_and_softplus_scales_stay_within_the_estimate() -> None:
    changes = ["components=10", "model.scale=softplus", "width=8", "latent=32"]
    model = mrvae.build(override(mrvae.recipe("cifar10-vdvae-small"), changes))
    assert peak(model, 3) / 3 <= row_bytes(model)


def test_memory_buys_rows() -> None:
    model = mrvae.build(mrvae.recipe("digits-vdvae"))
    each = row_bytes(model)
    assert [rows_within(memory, model) for memory in (1, each, 5 * each - 1)] == [1, 1, 4]
    assert rows_within(1 << 50, model) <= 256


def test_no_memory_is_refused() -> None:
    model = mrvae.build(mrvae.recipe("digits-vdvae"))
    with pytest.raises(ValueError, match="memory is 0"):
        rows_within(0, model)
