"""The hierarchy: levels as data, the bottom-up and the top-down path, and the walk."""
