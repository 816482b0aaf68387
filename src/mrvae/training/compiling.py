"""``torch.compile``, with a fallback to the eager model.

Blocks and cells are compiled once for each shape (:mod:`mrvae.layers.regions`), so that the time
does not grow with a model's depth. Their code is kept in a cache of the user's, where a second run,
or one that is resumed, finds it. Compilation can fail: without a C++ compiler on the machine, or on
an assertion of a back end. So the compiled model makes one forward and backward pass on the first
batch before the run depends on it.
"""

from __future__ import annotations

import os
import time
import warnings

from mrvae.files import cache_folder
from mrvae.models.hierarchy.decoder import Decoder
from mrvae.models.hierarchy.encoder import BottomUp
from mrvae.models.hvae import HVAE
from mrvae.objectives import training_loss
from mrvae.streams import notice
from mrvae.training.update import Updater

# Of one function, one graph for each shape and precision.
_MOST_GRAPHS = 256
_FOLDER_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"


def try_compile(updater: Updater) -> float | None:
    """Compile the model in place; return the seconds it took, or None after falling back."""
    start = time.perf_counter()
    _keep_code()
    _allow_many_shapes()
    compile_regions(updater.model, True)
    try:
        with warnings.catch_warnings():
            # The compiler looks for the gradient of a state, which has none.
            warnings.filterwarnings("ignore", message="The .grad attribute of a Tensor")
            elbo = updater.measure(*updater.inputs(0, updater.parts[0]))
            training_loss(elbo, updater.model.frame.dims).backward()  # type: ignore[no-untyped-call]
    # A compiler may raise any exception.
    except Exception as error:
        compile_regions(updater.model, False)
        first = (str(error).strip() or type(error).__name__).splitlines()[0]
        notice(f"torch.compile failed ({first[:120]}); the run continues without it")
        return None
    finally:
        updater.optimizer.zero_grad(set_to_none=True)
    return time.perf_counter() - start


def compile_regions(model: HVAE, enabled: bool) -> None:
    """Let blocks and cells be compiled when they are next applied, or be eager again."""
    for module in model.modules():
        if isinstance(module, BottomUp | Decoder):
            module.compiled = enabled


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


def _allow_many_shapes() -> None:
    """Let one function have a graph for each shape; the default is eight."""
    from torch._dynamo import config

    config.recompile_limit = max(config.recompile_limit, _MOST_GRAPHS)
