"""One self-contained HTML page about a run: text, tables, figures as SVG, images as PNG.

The page needs no network and no script, and reads on a telephone and in a dark window. What it
shows is measured elsewhere: this room only writes it down.
"""

from mrvae.html_report.figures import figure_picture, grid_picture
from mrvae.html_report.page import Cells, Page, PageImage, Section, render

__all__ = ["Cells", "Page", "PageImage", "Section", "figure_picture", "grid_picture", "render"]
