"""The memory that a data set may take."""

from pathlib import Path

from lskd.errors import UserError


def available() -> int:
    """Bytes that can still be allocated, after Linux's own estimate."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise UserError("/proc/meminfo: no line MemAvailable; Linux 3.14 or later is needed")
