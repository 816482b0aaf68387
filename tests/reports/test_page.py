"""Properties of the HTML page: it is well formed, safe, self-contained, and fits a telephone."""

from __future__ import annotations

import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from mrvae.reports.figures import loss_figure
from mrvae.reports.page import Page, Section, render
from mrvae.reports.page_images import figure_picture, grid_picture

HOSTILE = '</title><script src="http://example.com/x.js">alert(1)</script>"\'&'
_VOID = {"meta", "link", "img"}


class _Reader(HTMLParser):
    """Collects the elements of a page, and checks that each is closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.names: list[str] = []
        self.links: list[str] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.links += [v or "" for k, v in attrs if k in ("src", "href", "xlink:href")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page(text: str) -> Page:
    """Return a page that has the text in every place where a text can stand."""
    events = [{"step": step, "nats": 9.0 / step, "kl": 1.0} for step in range(1, 30)]
    section = Section(
        text,
        text,
        [[[text, "n"], ["a long row of a table", text]], [["x"] * 30, ["123456.78"] * 30]],
        [
            figure_picture(lambda: loss_figure(events), text),
            grid_picture(np.zeros((60, 1200, 3), np.uint8), text),
        ],
        f"mrvae train {text * 5}",
    )
    return Page(text, text, [(text, text)] * 5, [section], text)


def read(html: str) -> _Reader:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert not reader.open
    return reader


def test_no_text_becomes_markup_and_every_text_is_there() -> None:
    plain, hostile = read(render(page("word"))), read(render(page(HOSTILE)))
    assert hostile.names == plain.names
    assert "script" not in hostile.names
    assert sum(HOSTILE in text for text in hostile.texts) == sum(
        "word" in text for text in plain.texts
    )


def test_a_page_asks_for_nothing_outside_itself() -> None:
    html = render(page("word"))
    assert all(link.startswith(("data:", "#")) for link in read(html).links)
    assert not re.search(r"@import|url\((?!#)|<script|<iframe", html)


def test_a_figure_takes_the_colours_and_the_width_of_its_page() -> None:
    markup = figure_picture(lambda: loss_figure([{"step": 1, "nats": 2.0}]), "Loss").markup
    assert "currentColor" in markup
    assert "#010203" not in markup
    head = markup[: markup.index(">")]
    assert "viewBox" in head
    assert not re.search(r'\b(width|height)="', head)


def test_the_same_page_twice_is_the_same_text() -> None:
    assert render(page("word")) == render(page("word"))


_MEASURE = """<script>document.title = [
  document.documentElement.scrollWidth <= innerWidth,
  [...document.images].every(i => i.complete && i.naturalWidth > 0),
  [...document.querySelectorAll('svg')].every(s => s.getBoundingClientRect().height > 50),
].join()</script></body>"""


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium is installed")
def test_a_telephone_shows_every_picture_and_does_not_scroll_sideways(tmp_path: Path) -> None:
    file = tmp_path / "page.html"
    file.write_text(render(page("word")).replace("</body>", _MEASURE), "utf-8")
    # A window is never narrower than 500 pixels, a frame in it is.
    frame = tmp_path / "frame.html"
    frame.write_text(
        f'<iframe src="{file.name}" width="390" height="800" onload="document.title = '
        'this.contentDocument.title + (this.contentWindow.innerWidth == 390)"></iframe>',
        "utf-8",
    )
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += ["--allow-file-access-from-files", "--virtual-time-budget=5000", frame.as_uri()]
    done = subprocess.run(  # noqa: S603
        command, capture_output=True, text=True, timeout=120, check=True
    )
    assert "<title>true,true,truetrue</title>" in done.stdout
