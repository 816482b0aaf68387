"""What is optimised and what is reported, as pure functions of a bound's terms."""

from mrvae.objectives.bound import training_loss
from mrvae.objectives.importance import importance_bound

__all__ = ["importance_bound", "training_loss"]
