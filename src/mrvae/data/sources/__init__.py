"""The data sets that are known by name, and those of the Hugging Face hub."""
