"""The one exception that means: the user can mend this; and how its words end."""

import errno
import shlex
from pathlib import Path


class UserError(Exception):
    """A mistake in the config, the data or the environment, told in one line.

    The line names the key or file, what was found, what is allowed and how to mend it; stages print it without a
    traceback and exit with 1.
    """

    def __str__(self) -> str:
        return super().__str__().replace("\n", "\\n")  # a file's name may hold one


def mend(path: Path) -> str:
    """How a file, or all of a job's folder, is made anew."""
    return f"make it anew: rm -rf {shlex.quote(str(path))} && snakemake"


def is_of_memory(error: Exception) -> bool:
    """Whether an error is torch's word for a full memory, of a GPU or of the machine."""
    return type(error).__name__ == "OutOfMemoryError" or "can't allocate memory" in str(error)


def of_disk(error: BaseException) -> str | None:
    """Why nothing could be written, where an error tells it or hides it: on a full disk matplotlib's PDF fails anew."""
    if isinstance(error, OSError) or type(error).__name__ == "SafetensorError":
        return str(getattr(error, "strerror", None) or error)
    full = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    hidden = error.__context__
    while hidden is not None and getattr(hidden, "errno", None) not in full:
        hidden = hidden.__context__
    return None if hidden is None else str(getattr(hidden, "strerror", None) or hidden)
