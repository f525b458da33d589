"""What a tree has to do, planned without Snakemake: a line of JSON in, a line out, each planned in a fork of its own.

Started in a tree's root, before anything is edited. In: {"targets": names, "config": what --config says, "write":
whether each job's process gets its file too}. Out: {"jobs": [[stage, title, folder], ...]} or {"error": text}. The
parent has planned once, so a fork parses only what an edit touched; where this is code that plans, it imports all of
`lskd` anew.
"""

import json
import os
import sys
from pathlib import Path

import yaml

Request = dict[str, object]


def plan(request: Request) -> list[tuple[str, str, str]]:
    """Each job that has no result, planned as `workflow/rules/common.smk` does it."""
    from lskd.jobs import job as jobs
    from lskd.jobs.catalogue import Catalogue
    from lskd.jobs.plan import Plan
    from lskd.jobs.results import Results
    from lskd.study import reading, studies

    jobs._DEFINITIONS.clear()  # looked up once a process, which no process of Snakemake's outlives
    jobs._CODE.clear()
    overrides = request["config"]
    config = reading.merge(yaml.safe_load(Path("config.yaml").read_text()), overrides)
    main, everything = studies.read_all(config, overrides, ["config.yaml"])
    planned = Plan(main, Catalogue(everything, Results()), overrides)
    planned.ask(request["targets"])
    if request["write"]:
        planned.write_jobs()
    return [(job.stage, job.title, str(job.folder)) for job in planned.pending or []]


def loaded() -> dict[str, bytes | None]:
    """The sources of `lskd` that this process has imported."""
    paths = [Path(module.__file__) for name, module in sys.modules.items() if name.startswith("lskd.")]
    return {str(path): path.read_bytes() if path.exists() else None for path in paths}


def answer(request: Request, before: dict[str, bytes | None]) -> str:
    if loaded() != before:
        for name in [name for name in sys.modules if name.partition(".")[0] == "lskd"]:
            del sys.modules[name]
    try:
        return json.dumps({"jobs": plan(request)})
    except Exception as error:
        return json.dumps({"error": f"{type(error).__name__}: {error}"})


def main() -> None:
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(Path.cwd()))
    plan({"targets": [], "config": {}, "write": False})
    before = loaded()
    for line in sys.stdin:
        pid = os.fork()
        if not pid:
            print(answer(json.loads(line), before), flush=True)
            os._exit(0)
        os.waitpid(pid, 0)


if __name__ == "__main__":
    main()
