"""The page as data, and its HTML.

A recipe may come from a stranger, so every text is escaped; the only markup that enters the page is
an SVG that matplotlib drew here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

Cells = Sequence[Sequence[str]]
"""The rows of a table; the first is its head."""


@dataclass(frozen=True)
class PageImage:
    """A figure or a grid of images.

    Attributes:
        markup: an ``svg`` or ``img`` element.
        caption: what it shows, in a sentence.
    """

    markup: Markup
    caption: str


@dataclass(frozen=True)
class Section:
    """A heading with what stands below it, in this order.

    Attributes:
        title: the heading.
        text: a paragraph; empty for none.
        tables: each with its head as the first row.
        pictures: with their captions.
        code: lines to copy; empty for none.
    """

    title: str
    text: str = ""
    tables: Sequence[Cells] = ()
    pictures: Sequence[PageImage] = ()
    code: str = ""

    @property
    def anchor(self) -> str:
        """The section's name in an address: its title in small letters and hyphens."""
        return "-".join(self.title.lower().split())


@dataclass(frozen=True)
class Page:
    """A whole page.

    Attributes:
        title: of the page and its window.
        about: the sentence below.
        facts: the few numbers at the top, each with its name.
        sections: in order.
        foot: the last line.
    """

    title: str
    about: str
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    foot: str


def render(page: Page) -> str:
    """Return the page as HTML.

    Example:
        >>> html = render(Page("a <b>", "", [("parameters", "3")], [Section("Cost")], ""))
        >>> "<h1>a &lt;b&gt;</h1>" in html, "a <b>" in html
        (True, False)
    """
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("mrvae.reports").joinpath("page.html").read_text(encoding="utf-8")
    return environment.from_string(source).render(page=page)
