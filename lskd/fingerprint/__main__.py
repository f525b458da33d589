"""What code a job depends on: `python -m lskd.fingerprint lskd.training.loop:run ...`.

`--chain NAME` tells how NAME is reached.
"""

import argparse
import sys

from lskd.errors import UserError
from lskd.fingerprint.definitions import code_digest, definitions, reached_through


def main(arguments: list[str] | None = None) -> None:
    """Print the digest of some entry points, and the digest and name of each definition that they reach."""
    parser = argparse.ArgumentParser(prog="python -m lskd.fingerprint", description="What code a job depends on.")
    parser.add_argument("entry", nargs="+", help="module:function")
    parser.add_argument("--chain", metavar="NAME", help="print how NAME (path.py, path.py:definition) is reached")
    options = parser.parse_args(arguments)
    try:
        if options.chain:
            names = reached_through(options.chain, options.entry)
            print("\n".join(names) or f"{options.chain}: not reached")
            return
        digests = definitions(options.entry)
    except UserError as error:
        sys.exit(f"error: {error}")
    print(code_digest(digests))
    for name, digest in digests.items():
        print(f"  {digest} {name}")


if __name__ == "__main__":
    main()
