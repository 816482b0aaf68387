"""The examples of docs/theory.md do what the page says."""

from __future__ import annotations

import doctest
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs" / "theory.md"


def test_the_examples_of_the_page_run() -> None:
    text = PAGE.read_text(encoding="utf-8").replace("```", "")
    # The report of the first example has a test of its own.
    text = text[text.index("## Definition 1") :]
    examples = doctest.DocTestParser().get_doctest(text, {}, PAGE.name, str(PAGE), 0)
    assert len(examples.examples) > 25
    said: list[str] = []
    results = doctest.DocTestRunner().run(examples, out=said.append)
    assert results.failed == 0, "".join(said)
