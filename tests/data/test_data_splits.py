from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from mrvae.data import SPLITS, load
from mrvae.data.splits import a_tenth, fixed_order, held_out


@pytest.mark.parametrize(
    ("count", "validation", "test"), [(30, 3, 3), (1797, 100, 397), (11, 1, 0)]
)
def test_splits_are_disjoint_and_complete(count: int, validation: int, test: int) -> None:
    names = SPLITS if test else SPLITS[:2]
    parts = [held_out(split, count, validation, test) for split in names]
    assert torch.cat(parts).sort().values.tolist() == list(range(count))
    assert [len(part) for part in parts[1:]] == ([validation, test] if test else [validation])


def test_cifar_is_split_as_the_published_code_does() -> None:
    _, validation = train_test_split(np.arange(50_000), test_size=5000, random_state=11172018)
    assert held_out("validation", 50_000, 5000).tolist() == sorted(validation.tolist())


@pytest.mark.parametrize(
    ("count", "checksum"),
    [(1797, "90bd8b24af9f43ce"), (24_345, "5ae18b26f2047979"), (60_000, "ab199fa4225977a6")],
)
def test_the_fixed_order_is_pinned(count: int, checksum: str) -> None:
    order = fixed_order(count).numpy().astype("<i8")
    assert sha256(order.tobytes()).hexdigest()[:16] == checksum


def test_the_digits_of_all_splits_are_the_whole_set() -> None:
    splits = [load("digits", split) for split in SPLITS]
    assert [len(images) for images in splits] == [1300, 100, 397]
    pixels = torch.cat([images.tensor() for images in splits])
    published = torch.from_numpy(load_digits().images).to(torch.uint8)
    ours, theirs = (x.reshape(1797, 64).tolist() for x in (pixels, published))
    assert sorted(ours) == sorted(theirs)
    assert all(images.bins == 17 for images in splits)


def test_a_split_that_would_be_empty_is_refused() -> None:
    with pytest.raises(ValueError, match="4 images are too few to hold some out for 'validation'"):
        held_out("validation", 4, a_tenth(4))
    with pytest.raises(ValueError, match="too few"):
        held_out("train", 4, 2, 2)
