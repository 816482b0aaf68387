"""The memory of a training step: predicted from the recipe, and checked against what is free."""
