from __future__ import annotations

import pytest
import torch
from data_made_up import distinct

from mrvae.data import Images, Stream


def numbered(count: int) -> Images:
    """Images that hold their own number."""
    return Images(torch.arange(count, dtype=torch.uint8).view(-1, 1, 1, 1), "numbered", "train")


def grey(count: int) -> Images:
    return Images(torch.full((count, 1, 3, 3), 128, dtype=torch.uint8), "grey", "train")


def test_every_epoch_visits_every_image_once() -> None:
    for batch in [1, 3, 4, 10, 23, 64]:
        stream = Stream(numbered(10), batch, seed=0)
        steps = -(-40 // batch)
        visited = torch.cat([stream.batch(step) for step in range(steps)])[:40].view(4, 10)
        assert (visited.sort(dim=1).values == torch.arange(10)).all()
        assert distinct(visited) == 4


@pytest.mark.parametrize("binary", [False, True])
def test_a_step_is_had_without_the_steps_before_it(binary: bool) -> None:
    uninterrupted = Stream(grey(7) if binary else numbered(7), 5, seed=2, binary=binary)
    batches = [uninterrupted.batch(step) for step in range(12)]
    for step in (11, 3, 0, 6):
        resumed = Stream(uninterrupted.images, 5, seed=2, binary=binary)
        assert torch.equal(resumed.batch(step), batches[step])


@pytest.mark.parametrize("binary", [False, True])
def test_the_parts_of_a_batch_are_its_rows(binary: bool) -> None:
    stream = Stream(grey(20) if binary else numbered(20), 8, seed=1, binary=binary)
    for step in range(6):
        whole = stream.batch(step)
        halves = [stream.batch(step, range(3)), stream.batch(step, range(3, 8))]
        assert torch.equal(torch.cat(halves), whole)
        assert torch.equal(stream.batch(step, range(1, 8, 2)), whole[1::2])
        assert torch.equal(stream.batch(step, range(7, -1, -1)), whole.flip(0))
        assert len(stream.batch(step, range(0))) == 0


def test_seeds_give_different_orders_and_draws() -> None:
    orders = [Stream(numbered(30), 30, seed).batch(0) for seed in range(5)]
    assert distinct(torch.stack(orders)) == 5
    draws = [Stream(grey(4), 4, seed, binary=True).batch(0) for seed in range(5)]
    assert distinct(torch.stack(draws)) == 5


def test_the_order_of_training_is_pinned() -> None:
    """A run that is resumed by a later version must see the same images."""
    assert Stream(numbered(6), 9, seed=7).batch(1).flatten().tolist() == [0, 1, 2, 2, 3, 5, 1, 0, 4]


def test_a_pixel_is_drawn_anew_at_every_step_with_the_probability_of_its_level() -> None:
    ramp = torch.arange(17, dtype=torch.uint8).expand(4, 1, 1, 17).contiguous()
    stream = Stream(Images(ramp, "ramp", "train", bins=17), 4, seed=0, binary=True)
    draws = torch.cat([stream.batch(step) for step in range(1000)]).double()
    probability = torch.arange(17).double() / 16
    error = (draws.mean(0).flatten() - probability).abs()
    assert (error <= 5 * (probability * (1 - probability) / 4000).sqrt()).all()
    middle = draws[:, 0, 0, 8]
    assert abs(float(torch.corrcoef(torch.stack([middle[:-4], middle[4:]]))[0, 1])) < 0.08


def test_images_of_one_batch_are_drawn_independently() -> None:
    """A batch larger than the set holds an image twice; its draws are two."""
    x = Stream(grey(1), 6, seed=0, binary=True).batch(0)
    assert distinct(x) == 6


def test_what_is_no_step_or_part_is_refused() -> None:
    stream = Stream(numbered(5), 4, seed=0)
    for step, part in ((-1, None), (0, range(3, 5)), (0, range(-1, 2))):
        with pytest.raises(ValueError, match="take step ≥ 0 and parts of 0…3"):
            stream.batch(step, part)
    with pytest.raises(ValueError, match="batch is 0"):
        Stream(numbered(5), 0, seed=0)
    with pytest.raises(ValueError, match="seed is -1"):
        Stream(numbered(5), 1, seed=-1)
