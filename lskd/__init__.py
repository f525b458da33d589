"""Does label smoothing in a teacher hurt knowledge distillation? The library behind the workflow: docs/library.md."""

from lskd.version import VERSION as __version__

__all__ = ["__version__"]
