"""`python tests/replays.py TREE EDITS.json`: what `lskd adopt --check` finds of a tree's results after each edit.

Each edit is tried in a fork, which imports an edited copy of lskd; the libraries are imported once.
"""

import json
import os
import shutil
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import pandas  # noqa: F401
import pyarrow.parquet  # noqa: F401
import pydantic  # noqa: F401
import torch  # noqa: F401
import torchvision  # noqa: F401
import yaml  # noqa: F401


def main(tree: Path, edits: list[dict[str, str]]) -> None:
    """Print a line of JSON for each edit: its name, and what was found."""
    for edit in edits:
        with tempfile.TemporaryDirectory() as folder:
            answers = Path(folder) / "answers.json"
            pid = os.fork()
            if not pid:
                try:
                    answers.write_text(json.dumps(tried(tree, Path(folder), edit)))
                except BaseException:
                    traceback.print_exc()
                os._exit(0)
            os.waitpid(pid, 0)
            print(json.dumps([edit["name"], json.loads(answers.read_text())]), flush=True)


def tried(tree: Path, folder: Path, edit: dict[str, str]) -> dict[str, Any]:
    """Ask an edited copy of the tree: which trainings may be adopted, which differ, how many jobs stay to do."""
    shutil.copytree(tree / "lskd", folder / "lskd", ignore=shutil.ignore_patterns("__pycache__"))
    for path in tree.iterdir():
        if path.name != "lskd":
            (folder / path.name).symlink_to(path)
    path = folder / "lskd" / edit["file"]
    text = path.read_text()
    assert edit["old"] in text, edit["name"]
    path.write_text(text.replace(edit["old"], edit["new"]))
    os.chdir(folder)
    sys.path[0] = str(folder)
    from lskd import cli
    from lskd.jobs import adopt

    options = cli._parser().parse_args(["adopt", "--check"])
    proposal = adopt.Proposal(lambda records: cli._plan(options, records), [], cli._check_of(options, []))
    return {
        "adopted": [record["title"] for record in proposal.records.values() if record["stage"] == "train"],
        "different": {proposal.jobs[address].title: why for address, why in proposal.different.items()},
        "left": len(proposal.left),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text()))
