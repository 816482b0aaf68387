"""Whether an image is of the kind that a model was trained on: scores, and how well they tell."""
