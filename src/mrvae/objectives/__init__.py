"""Training losses and reported bounds, as pure functions of the terms of the ELBO."""

from mrvae.objectives.bound import training_loss
from mrvae.objectives.importance import importance_bound
from mrvae.objectives.weighted import weighted_kl

__all__ = ["importance_bound", "training_loss", "weighted_kl"]
