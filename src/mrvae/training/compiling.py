"""``torch.compile``, with a fallback to the eager model.

Compilation is worth its time where a model consists of many small operations. It can fail: without
a C++ compiler on the machine, or on an assertion of a back end. So the compiled model makes one
forward and backward pass on the first batch before the run depends on it.
"""

from __future__ import annotations

import time

import torch

from mrvae.objectives import training_loss
from mrvae.streams import notice
from mrvae.training.update import Updater


def try_compile(updater: Updater) -> float | None:
    """Compile the model in place; return the seconds it took, or None after falling back."""
    start = time.perf_counter()
    updater.model.compile()
    try:
        elbo = updater.measure(*updater.inputs(0, updater.parts[0]))
        training_loss(elbo, updater.model.frame.dims).backward()  # type: ignore[no-untyped-call]
        with torch.no_grad():
            updater.measure(*updater.inputs(0, updater.parts[0]))
    # A compiler may raise any exception.
    except Exception as error:
        updater.model._compiled_call_impl = None
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        notice(f"torch.compile failed ({first[:120]}); the run continues without it")
        return None
    finally:
        updater.optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - start
