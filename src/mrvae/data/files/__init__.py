"""Image files: single pictures, folders of them, NumPy arrays, and what is checked in each."""
