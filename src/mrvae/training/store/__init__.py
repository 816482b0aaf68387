"""The run directory on disk: its layout, its checkpoints and its log of metrics."""
