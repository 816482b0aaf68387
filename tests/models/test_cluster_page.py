"""The page on clusters: its arithmetic, and the numbers that it starts from."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest

import mrvae
from mrvae.evaluation.cost import describe

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cluster.md"


def test_the_arithmetic_of_the_page_is_true() -> None:
    results = doctest.testfile(str(PAGE), module_relative=False, encoding="utf-8")
    assert results.attempted > 15
    assert results.failed == 0


@pytest.mark.slow
def test_it_starts_from_what_describe_says() -> None:
    recipe = mrvae.recipe("vdvae-imagenet64")
    found = describe(recipe)
    text = PAGE.read_text(encoding="utf-8")
    for line in (
        f"parameters = {found.parameters:_}\n",
        f"flops_per_image = {found.flops_per_image:_} ",
        f"bytes_per_image = {found.bytes_per_image:_} ",
        f"steps, batch = {recipe.training.steps:_}, {recipe.training.batch}\n",
    ):
        assert line in text
