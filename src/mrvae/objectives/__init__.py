"""What is optimised and what is reported, as pure functions of a bound's terms."""

from mrvae.objectives.bound import training_loss
from mrvae.objectives.importance import importance_bound
from mrvae.objectives.weighted import weighted_kl

__all__ = ["importance_bound", "training_loss", "weighted_kl"]
