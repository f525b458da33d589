"""What trees have to do, planned in a process of its own for each: lines of JSON in, lines of JSON out.

A line in: {"root": a tree, "targets": names}; a line out: {"jobs": [[stage, title], ...]} or {"error": text}. Each is
planned in a fork, which imports that tree's own `lskd` as the edit left it; what all need of others is imported once.
"""

import json
import os
import sys
from pathlib import Path

import pydantic  # noqa: F401, for the forks
import safetensors  # noqa: F401
import xxhash  # noqa: F401
import yaml


def plan(root: str, targets: list[str]) -> list[tuple[str, str]]:
    """The stage and title of each job that has no result, as `workflow/rules/common.smk` plans them."""
    os.chdir(root)
    sys.path.insert(0, root)
    from lskd import studies
    from lskd.jobs.catalogue import Catalogue
    from lskd.jobs.plan import Plan
    from lskd.jobs.results import Results

    config = yaml.safe_load(Path("config.yaml").read_text())
    main, everything = studies.read_all(config, {}, ["config.yaml"])
    planned = Plan(main, Catalogue(everything, Results()), {})
    planned.ask(targets)
    return [(job.stage, job.title) for job in planned.pending or []]


def answer(root: str, targets: list[str]) -> str:
    try:
        return json.dumps({"jobs": plan(root, targets)})
    except Exception as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"})


def main() -> None:
    sys.dont_write_bytecode = True
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            print(answer(**json.loads(line)), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
