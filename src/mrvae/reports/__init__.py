"""What a result looks like: figures of a run, grids of images as PNG, one HTML page about a run.

The HTML page is self-contained: it needs no network and no script, and reads on a telephone and in
a dark window. What is shown is measured elsewhere. Nothing here needs torch, and matplotlib is
imported when a figure is drawn.
"""
