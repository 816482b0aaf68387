"""Training: the run, its update and its checkpoints.

A run is a function of (recipe, seed, steps). The images, the binarisation and the noise of step n
do not depend on earlier steps, so a run that is killed and resumed equals an uninterrupted one.
"""

from mrvae.training.run import RunSummary, train
from mrvae.training.stop import Diverged, Failed, Interrupted, OutOfMemory

__all__ = ["Diverged", "Failed", "Interrupted", "OutOfMemory", "RunSummary", "train"]
