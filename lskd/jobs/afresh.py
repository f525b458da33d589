"""What a job may leave behind in its process, put back before the next: each finds what the first one found.

What code keeps in its own modules between calls stays there.
"""

import os
import random
import sys
import warnings
from collections.abc import Callable
from functools import partial


def putting_back() -> Callable[[], None]:
    """A call that puts back what is so now: of numbers drawn and kept, of warnings, of pictures, of new files."""
    os.umask(mask := os.umask(0))
    back: list[Callable[[], object]] = [
        partial(os.umask, mask),
        partial(random.setstate, random.getstate()),
        partial(sys.path.__setitem__, slice(None), [*sys.path]),
    ]
    if numpy := sys.modules.get("numpy"):
        back += [partial(numpy.random.set_state, numpy.random.get_state()), partial(numpy.seterr, **numpy.geterr())]
    if torch := sys.modules.get("torch"):
        back += [
            partial(torch.set_rng_state, torch.get_rng_state()),
            partial(torch.set_default_dtype, torch.get_default_dtype()),
            partial(torch.set_grad_enabled, torch.is_grad_enabled()),
            partial(torch.set_deterministic_debug_mode, torch.get_deterministic_debug_mode()),
        ]
    if matplotlib := sys.modules.get("matplotlib"):
        back.append(partial(dict.update, matplotlib.rcParams, matplotlib.rcParams.copy()))
    back += [warnings.resetwarnings, partial(warnings.filters.extend, [*warnings.filters])]  # type: ignore[attr-defined]

    def put_back() -> None:
        for act in back:
            act()

    return put_back
