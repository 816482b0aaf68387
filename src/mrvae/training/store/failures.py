"""How a run ends that cannot write a file, or has lost another process: with ``Failed``."""

from __future__ import annotations

import errno
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from mrvae.files import reason
from mrvae.processes import is_distributed, peer_lost
from mrvae.training.stop import Failed
from mrvae.training.store.directory import RunDirectory
from mrvae.training.store.lock import RunLock

_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextmanager
def lost_peer_fails(directory: RunDirectory) -> Iterator[None]:
    """Turn the loss of another process, in whatever collective call, into ``Failed``."""
    try:
        with warnings.catch_warnings():
            # A warning about 1×1 kernels, whose two layouts are the same in memory.
            warnings.filterwarnings("ignore", message="Grad strides do not match bucket view")
            yield
    except RuntimeError as error:
        if not is_distributed() or not peer_lost(error):
            raise
        raise failed("another process has ended, or no longer answers", directory) from None


def acquire_if_writable(lock: RunLock) -> None:
    """Hold a run that exists; where nothing can be written, the later checks give the reason."""
    with suppress(OSError):
        lock.acquire()


@contextmanager
def full_disk_fails(directory: RunDirectory) -> Iterator[None]:
    """Turn an error of the disk, which is no mistake of the user's, into ``Failed``."""
    try:
        yield
    except OSError as error:
        if error.errno not in _DISK_ERRORS:
            raise
        raise failed(reason(error), directory) from None


def failed(problem: str, directory: RunDirectory) -> Failed:
    """Return the error of a run that ends for a reason outside of it."""
    return Failed(
        f"the run cannot continue: {problem}; the last checkpoint is intact, "
        f"so fix the cause and continue with --resume --out {directory.path}"
    )
