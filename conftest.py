"""Workers of pytest share the cores: one thread each, unless the environment says otherwise."""

from __future__ import annotations

import os

# Read by OpenMP when torch is first imported, which is after this.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
