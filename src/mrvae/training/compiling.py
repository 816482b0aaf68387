"""``torch.compile``, with a fallback to the eager model.

Compilation is worth its time where a model consists of many small operations. It can fail: without
a C++ compiler on the machine, or on an assertion of a back end. So the compiled model makes one
forward and backward pass on the first batch before the run depends on it. Compiled code is kept in
a cache of the user's, where a second run, or one that is resumed, finds it.
"""

from __future__ import annotations

import os
import time
import warnings

import torch

from mrvae.files import cache_folder
from mrvae.objectives import training_loss
from mrvae.streams import notice
from mrvae.training.update import Updater

_FOLDER_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def try_compile(updater: Updater) -> float | None:
    """Compile the model in place; return the seconds it took, or None after falling back."""
    start = time.perf_counter()
    _keep_code()
    try:
        _import_compiler()
        updater.model.compile()
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


def _keep_code() -> None:
    """Let the compiler keep its code in the user's cache, unless the user has chosen a folder.

    What is in it is executed. So it is a folder of the user's that nobody else can write to.
    """
    cache = cache_folder()
    if cache is None or _FOLDER_VARIABLE in os.environ:
        return
    folder = cache / "compiled"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.chmod(0o700)
        private = folder.lstat().st_uid == os.getuid() and not folder.is_symlink()
    except OSError:
        return
    if private:
        os.environ[_FOLDER_VARIABLE] = str(folder)


def _import_compiler() -> None:
    """Import the compiler; what its import warns of is in torch, and no user can mend it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        import torch._inductor.compile_fx  # noqa: F401
