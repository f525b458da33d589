"""What a test job of `lskd doctor` sees on a node of the cluster: one line of JSON on stdout.

`python -m lskd.jobs.probe RESULTS TOKEN`: TOKEN names a file that the login node wrote and locked in RESULTS.
"""

import fcntl
import json
import os
import socket
import sys
import time
from pathlib import Path


def main() -> None:
    """Print host, clock, whether the token is seen and held by another, and the GPUs that the job was given."""
    token = Path(sys.argv[1]) / sys.argv[2]
    seen = {"host": socket.gethostname(), "clock": time.time(), "sees": token.exists(), "held": is_held(token)}
    print("lskd-probe " + json.dumps(seen | {"gpus": os.environ.get("CUDA_VISIBLE_DEVICES", "")}), flush=True)


def is_held(path: Path) -> bool:
    """Whether another process holds a file's lock, as far as this host can tell."""
    try:
        with path.open() as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


if __name__ == "__main__":
    main()
