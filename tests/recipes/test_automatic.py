"""The rule that chooses a model: every image has a ladder, and every choice keeps its budget."""

from __future__ import annotations

import pytest

from mrvae.models.build.size import levels_of
from mrvae.recipes import from_json, to_json
from mrvae.recipes.automatic import (
    SCALES,
    ImageFacts,
    activation_bytes,
    automatic,
    ladder_for,
    likelihood_for,
    resolutions,
)
from mrvae.resolution import Ladder

ACROSS = (1, 2, 3, 7, 20, 64, 101, 300)
SIZES = [size for h in range(1, 301) for w in ACROSS for size in ((h, w), (w, h))]


def facts_of(size: tuple[int, int], channels: int = 3, bins: int = 256) -> ImageFacts:
    return ImageFacts(channels, size, bins, mean=127.0, deviation=60.0)


def test_every_image_has_a_ladder_that_covers_it_with_less_than_a_coarse_pixel_to_spare() -> None:
    for index, size in enumerate(SIZES):
        facts = facts_of(size, channels=1 + 2 * (index % 2))
        recipe = automatic("x.npy", facts, tuple(SCALES)[index % 3])
        levels = levels_of(recipe.hierarchy)
        ladder = Ladder.between(levels[0].size, levels[-1].size)
        assert max(levels[0].sides) <= 8, size
        for side, fine, coarse in zip(size, levels[-1].sides, levels[0].sides, strict=True):
            assert side <= fine, size
            assert fine - side < fine // coarse, size
        assert all(ladder.level(level.size) >= 0 for level in levels)
        assert tuple(max(level.sides) for level in levels) == resolutions(size)


def test_every_choice_keeps_the_memory_of_its_scale() -> None:
    for scale, rule in SCALES.items():
        for size in ((28, 20), (1, 4096), (300, 300), (1, 1)):
            facts = facts_of(size)
            recipe = automatic("x.npy", facts, scale)
            each = activation_bytes(
                ladder_for(size, rule), facts, recipe.hierarchy.width[0], rule.components
            )
            assert recipe.training.batch * each <= rule.memory
            assert from_json(to_json(recipe)) == recipe


@pytest.mark.slow
def test_a_backward_pass_keeps_no_more_than_the_rule_counts() -> None:
    from mrvae.training.memory.footprint import footprint

    for size, bins in (((28, 20), 256), ((1, 64), 2), ((40, 40), 17)):
        facts = facts_of(size, channels=1, bins=bins)
        recipe, rule = automatic("x.npy", facts, "small"), SCALES["small"]
        width = recipe.hierarchy.width[0]
        each = activation_bytes(ladder_for(size, rule), facts, width, rule.components)
        kept = footprint(recipe).kept / recipe.training.batch
        assert each / 3 < kept <= each


def test_the_likelihood_follows_from_the_bins() -> None:
    kinds = [likelihood_for(bins, 3, 5) for bins in (2, 3, 32, 33, 256)]
    assert [kind.bins for kind in kinds] == [2, 3, 32, 33, 256]
    names = [kind.__struct_config__.tag for kind in kinds]
    assert names == ["bernoulli", "categorical", "categorical"] + 2 * ["logistic_mixture"]


def test_images_that_no_width_fits_are_refused_with_what_helps() -> None:
    with pytest.raises(ValueError, match=r"too large for this scale.*data\.cut=patches"):
        automatic("x.npy", facts_of((8192, 8192)), "small")
    with pytest.raises(ValueError, match="choose from small, medium, large"):
        automatic("x.npy", facts_of((8, 8)), "huge")


def test_a_signal_has_a_quarter_of_the_values_at_each_coarser_level() -> None:
    sides = resolutions((1, 4096))
    assert sides == (1, 4, 16, 64, 256, 1024, 4096)
