"""The entropy coder: a stack of bits, and what is coded on it by which distribution."""
