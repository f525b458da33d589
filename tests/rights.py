"""What a file's mode forbids, to root too."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

VERSION = 0x20080522  # of capset(2): two blocks of (effective, permitted, inheritable), of which the first holds these
DAC_OVERRIDE, DAC_READ_SEARCH = 1, 2  # by which root reads and writes everything


@contextmanager
def bound_by_modes() -> Iterator[None]:
    """This thread, and those that it starts, may do to files what their modes say and no more, whoever runs it."""
    header, before = (ctypes.c_uint32 * 2)(VERSION, 0), (ctypes.c_uint32 * 6)()
    _call("capget", header, before)
    bound = type(before)(*before)
    bound[0] &= ~(1 << DAC_OVERRIDE | 1 << DAC_READ_SEARCH)
    _call("capset", header, bound)
    try:
        yield
    finally:
        _call("capset", header, before)


def _call(name: str, header: ctypes.Array, data: ctypes.Array) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if getattr(libc, name)(header, data):
        raise OSError(ctypes.get_errno(), f"{name}: refused")
