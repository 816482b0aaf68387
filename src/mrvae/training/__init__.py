"""One update, one loop, one checkpoint.

A run is a function of (recipe, seed, steps): step n's images, binarisation and noise can be had
without the steps before it, so a run that is killed and resumed equals one that was not.
"""

from mrvae.training.run import Summary, train
from mrvae.training.stop import Diverged, Failed, Interrupted, OutOfMemory

__all__ = ["Diverged", "Failed", "Interrupted", "OutOfMemory", "Summary", "train"]
