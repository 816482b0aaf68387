"""The block strings: what they mean, and what is refused."""

from __future__ import annotations

import math
import re

import pytest
import torch

from helpers.members import for_all
from mrvae.models import HVAE, Level, parse_levels
from mrvae.models.build import build
from mrvae.recipes import ALL, Recipe, recipe

CIFAR10 = "32x11,32d2,16x6,16d2,8x6,8d2,4x3,4d4,1x3", "1x1,4m1,4x2,8m4,8x5,16m8,16x10,32m16,32x21"


def test_the_published_strings_become_levels() -> None:
    expected = [(1, 3, 1), (4, 3, 2), (8, 6, 5), (16, 6, 10), (32, 11, 21)]
    levels = parse_levels(*CIFAR10, [384], [16])
    assert [(level.size, level.blocks, level.cells) for level in levels] == expected
    assert {(level.width, level.latent, level.repeat) for level in levels} == {(384, 16, 1)}
    assert [level.kernel for level in levels] == [1, 3, 3, 3, 3]


def test_pieces_add_up_and_repeats_are_read() -> None:
    levels = parse_levels("8x2r3,8x1r3,8d2,4r5", "4x1,4,8m4,8r10", [16, 8], [2, 4])
    assert levels == (
        Level(4, 16, 2, blocks=1, cells=2, block_repeat=5),
        Level(8, 8, 4, blocks=3, cells=1, block_repeat=3, repeat=10),
    )
    assert [level.visits for level in levels] == [2, 10]


def test_a_resolution_may_have_its_joint_and_nothing_else() -> None:
    coarse, fine = parse_levels("8d2", "4x1,8m4", [4], [1])
    assert (coarse.blocks, coarse.cells, fine.blocks, fine.cells) == (0, 1, 0, 0)


@for_all(
    ("encoder", "decoder", "width", "latent", "message"),
    [
        ("", "4x1", [8], [1], "cannot read ''"),
        ("4x1,", "4x1", [8], [1], "cannot read ''"),
        ("4y1", "4x1", [8], [1], "cannot read '4y1'"),
        ("4x-1", "4x1", [8], [1], "cannot read '4x-1'"),
        ("4x1", "4x1.5", [8], [1], "cannot read '4x1.5'"),
        ("4x1", "４x1x", [8], [1], "cannot read"),
        ("4x0", "4x1", [8], [1], "'4x0'"),
        ("4x1", "4x2r0", [8], [1], "'4x2r0'"),
        ("4x1,4x1r2", "4x1", [8], [1], "repeats unlike"),
        ("4x1", "4x1,4x1r2", [8], [1], "repeats unlike"),
        ("8x1,4x1", "4x1,8m4,8x1", [8], [1], "'4x1' cannot stand at resolution 8"),
        ("8x1,8m4", "4x1,8m4,8x1", [8], [1], "'8m4' cannot stand at resolution 8"),
        ("8x1,8d3,4x1", "4x1,8m4", [8], [1], "'8d3' does not divide 8"),
        ("8x1,8d1", "8x1", [8], [1], "'8d1' does not divide 8"),
        ("8x1,8d0", "8x1", [8], [1], "'8d0' does not divide 8"),
        ("8d2,4x1", "4x1,8x1", [8], [1], "begins with a piece like 8m4"),
        ("8d2,4x1", "4x1,4d2", [8], [1], "'4d2' cannot stand"),
        ("8d2,4x1", "8m4,8x1", [8], [1], "'8m4' cannot follow"),
        ("8d2,4x1", "4x1,8m2", [8], [1], "'8m2' cannot follow"),
        ("8d2,4x1", "4x1,4m4", [8], [1], "'4m4' cannot follow"),
        ("8d2,4x1", "4x1,6m4", [8], [1], "'6m4' cannot follow"),
        ("8d2,4x1", "4x1,6u4", [8], [1], "'6u4' cannot follow"),
        ("8u2,4x1", "4x1,8u4", [8], [1], "'8u2' cannot stand"),
        ("8d2,4x1", "4x1", [8], [1], "both must name the same"),
        ("8d2,4d2,2x1", "2x1,8m2", [8], [1], "both must name the same"),
        ("8d4,2x1", "2x1,4m2,8m4", [8], [1], "both must name the same"),
        ("8d2,4x1", "4x1,8m4", [8, 8, 8], [1], "width has 3 values for 2"),
        ("8d2,4x1", "4x1,8m4", [8], [1, 2, 3], "latent has 3 values for 2"),
        ("8d2,4x1", "4x1,8m4", [8, 16], [1], "must not grow"),
        ("0x1", "0x1", [8], [1], "size of a level is 0"),
        ("4x1", "4x1", [0], [1], "width of a level is 0"),
        ("4x1", "4x1", [8], [0], "latent of a level is 0"),
        ("4x9999r9999", "4x1", [8], [1], "blocks applied 9999 times"),
        ("4x1", "4x9999r9999", [8], [1], "cells applied 9999 times"),
        ("4x1", ",".join(["4x9999"] * 9), [8], [1], "cells applied"),
    ],
)
def test_what_makes_no_hierarchy_is_refused(
    encoder: str, decoder: str, width: list[int], latent: list[int], message: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as refusal:
        parse_levels(encoder, decoder, width, latent)
    assert "\n" not in str(refusal.value)


# The rest, deep or wide, takes a quarter of a minute.
QUICK = [recipe for recipe in ALL if recipe.depth <= 10 and recipe.parameters < 5_000_000]
# Latents of one image, by Child 2021.
LATENTS = {
    "vdvae-cifar10": 412_432,
    "vdvae-imagenet32": 765_216,
    "vdvae-imagenet64": 1_451_040,
    "vdvae-ffhq256": 4_470_816,
}


def check_counts(recipe: Recipe) -> HVAE:
    """Build a recipe on the meta device: its parameters and its depth are those stored in it."""
    with torch.device("meta"):
        model = build(recipe)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == recipe.parameters
    assert model.stochastic_depth == recipe.depth
    # What is saved has no values; what follows from the shape alone, such as a mask, may have them.
    assert all(tensor.is_meta for tensor in model.state_dict().values())
    return model


@for_all("known", QUICK)
def test_recipes_have_the_parameters_and_depth_that_are_stored(known: Recipe) -> None:
    check_counts(known)


@pytest.mark.slow
@for_all("known", [known for known in ALL if known not in QUICK and known.name not in LATENTS])
def test_large_recipes_have_the_parameters_and_depth_that_are_stored(known: Recipe) -> None:
    check_counts(known)


@for_all("name", LATENTS)
def test_the_published_models_have_the_published_latents(name: str) -> None:
    shapes = check_counts(recipe(name)).shapes
    assert sum(math.prod(shape) for shape in shapes) == LATENTS[name]
