"""Figures and images as elements of a page.

A figure becomes an inline SVG. Its text and lines are drawn in one colour that is then replaced by
``currentColor``, so that they are dark on a light page and light on a dark one. Letters stay text,
in the fonts of the page. Images become PNG files inside the page, enlarged without blur.
"""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from markupsafe import Markup, escape

from mrvae.reports.page import PageImage

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from mrvae.reports.image_grid import Pixels

# No colour of a figure's data; matplotlib writes it as it is.
_INK = "#010203"
_AS_TEXT = {"svg.fonttype": "none"}
_INKED = (
    "text.color",
    "axes.edgecolor",
    "axes.labelcolor",
    "xtick.color",
    "ytick.color",
    "xtick.labelcolor",
    "ytick.labelcolor",
)


def figure_picture(draw: Callable[[], Figure], caption: str) -> PageImage:
    """Draw a figure and return it as an SVG that takes the page's colours.

    ``draw`` makes the figure, so that it has them from the beginning.

    Example:
        >>> from mrvae.reports.figures import loss_figure
        >>> picture = figure_picture(lambda: loss_figure([{"step": 1, "nats": 2.0}]), "Loss")
        >>> picture.markup.startswith("<svg"), "currentColor" in picture.markup
        (True, True)
    """
    import matplotlib

    style: dict[Any, Any] = {**dict.fromkeys(_INKED, _INK), **_AS_TEXT, "svg.hashsalt": caption}
    with matplotlib.rc_context(style):
        file = io.StringIO()
        # Without a date the same run gives the same page.
        draw().savefig(file, format="svg", transparent=True, metadata={"Date": None})
    text = file.getvalue()
    svg = text[text.index("<svg") :].strip().replace(_INK, "currentColor")
    # A size in points would not shrink with the page; the view box keeps the shape.
    svg = re.sub(r'^(<svg[^>]*?) width="[^"]*pt" height="[^"]*pt"', r"\1", svg)
    label = f'<svg role="img" aria-label="{escape(caption)}"'
    return PageImage(Markup(svg.replace("<svg", label, 1)), caption)  # noqa: S704


def grid_picture(pixels: Pixels, caption: str) -> PageImage:
    """Return an image (H, W, 3) as a PNG inside the page.

    Example:
        >>> import numpy as np
        >>> picture = grid_picture(np.zeros((2, 4, 3), np.uint8), "Black")
        >>> 'width="4" height="2"' in picture.markup
        True
    """
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format="PNG", optimize=True)
    data = base64.b64encode(file.getvalue()).decode("ascii")
    height, width = pixels.shape[:2]
    markup = Markup('<img alt="{}" width="{}" height="{}" src="data:image/png;base64,{}">')
    return PageImage(markup.format(caption, width, height, data), caption)
