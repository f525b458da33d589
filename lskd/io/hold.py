"""Who works on a folder of results: a snakemake holds it together with others, who removes results holds it alone."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lskd.errors import UserError


def hold(root: Path, exclusively: bool = False) -> int | None:
    """Hold a folder for as long as the returned file is open, or this process lives; None where another holds it alone,
    or any other where it is asked for `exclusively`. On a file system without such locks nobody is kept out.
    Raises UserError where there is no such folder and none can be made.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise UserError(f"{root}: cannot be written ({error.strerror}); free or unlock that folder") from None
    try:
        fcntl.flock(handle, (fcntl.LOCK_EX if exclusively else fcntl.LOCK_SH) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        return None
    except OSError:
        pass
    return handle


@contextmanager
def held(root: Path, exclusively: bool = False) -> Iterator[bool]:
    """Hold a folder meanwhile; False where that cannot be."""
    handle = hold(root, exclusively)
    try:
        yield handle is not None
    finally:
        if handle is not None:
            os.close(handle)
