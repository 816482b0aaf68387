"""Batches made ahead are the batches, in whatever order they are asked for."""

from __future__ import annotations

import threading
from functools import partial

import pytest
import torch
from torch import Tensor

from mrvae.data import Images, Prefetch, Stream

PARTS = [range(3), range(3, 5), range(5, 9)]


def stream(binary: bool = True) -> Stream:
    pixels = torch.randint(0, 256, (7, 1, 4, 4), generator=torch.Generator().manual_seed(0))
    return Stream(Images(pixels.to(torch.uint8), "made up", "train"), 9, 5, binary)


@pytest.mark.parametrize("binary", [False, True])
def test_the_same_bits_with_and_without(binary: bool) -> None:
    """In the order of training, backwards, at random, and twice; epochs are straddled."""
    plain, ahead = stream(binary), Prefetch(stream(binary), PARTS)
    forward = [(step, part) for step in range(6) for part in PARTS]
    random = torch.randint(0, 18, (12,), generator=torch.Generator().manual_seed(1)).tolist()
    asked = forward + forward[::-1] + [forward[i] for i in random]
    for step, part in asked:
        assert torch.equal(ahead.batch(step, part), plain.batch(step, part))
    assert torch.equal(ahead.batch(2), plain.batch(2))


def test_the_next_batch_is_made_by_another_thread_before_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made: list[tuple[int, range]] = []
    news = threading.Condition()
    honest = Stream.batch

    def noting(self: Stream, step: int, part: range | None = None) -> Tensor:
        assert threading.current_thread() is not threading.main_thread()
        found = honest(self, step, part)
        with news:
            made.append((step, part or range(0)))
            news.notify()
        return found

    monkeypatch.setattr(Stream, "batch", noting)
    ahead = Prefetch(stream(), PARTS)
    for step, part, after in ((0, PARTS[1], (0, PARTS[2])), (0, PARTS[2], (1, PARTS[0]))):
        ahead.batch(step, part)
        with news:
            assert news.wait_for(partial(made.__contains__, after), timeout=60)
    assert made == [(0, PARTS[1]), (0, PARTS[2]), (1, PARTS[0])]


def test_a_mistake_is_raised_for_the_batch_that_has_it() -> None:
    source = stream()
    ahead = Prefetch(source, PARTS)
    ahead.batch(0, PARTS[0])
    with pytest.raises(ValueError, match="step -1 has no part"):
        ahead.batch(-1, PARTS[0])
    assert torch.equal(ahead.batch(1, PARTS[0]), stream().batch(1, PARTS[0]))
