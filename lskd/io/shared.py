"""What is read of a file, kept once for all of a process that hold it at a time."""

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any, Generic, TypeVar
from weakref import WeakValueDictionary

T = TypeVar("T")


class Shared(Generic[T]):
    """Contents of files, each until nobody holds it; of a file that was replaced, another one."""

    def __init__(self) -> None:
        self._held: WeakValueDictionary[Hashable, Any] = WeakValueDictionary()

    def get(self, path: Path, how: Hashable, read: Callable[[], T]) -> T:
        """What a file holds, read in a way, unless it is held."""
        status = path.stat()
        key = path.absolute(), status.st_mtime_ns, status.st_ino, how
        held: T | None = self._held.get(key)
        if held is None:
            held = self._held[key] = read()
        return held
