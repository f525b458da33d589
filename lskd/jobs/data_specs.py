"""What the spec of a data set's job says: its keys, and what identifies its content. No torch.

Of a published data set whose files are not there it says that they are not, so that what is made of it can be planned;
with the files its content comes into the spec, and all addresses are new. Of data that were prepared before and are
gone since, what was prepared stands.
"""

from importlib import import_module
from pathlib import Path
from typing import Any, NamedTuple

from lskd.data.content import content, content_of_files
from lskd.data.layouts import given_splits, missing
from lskd.errors import UserError
from lskd.io.seal import file_digest
from lskd.jobs.results import Results
from lskd.study import registry
from lskd.study.config import Data
from lskd.study.options import spec

ABSENT = "not there"  # in place of what identifies the content: which data set has no files
Spec = dict[str, Any]


class Planned(NamedTuple):
    """A data job's spec; notes on what is taken as given; which files are not there, in a line, "" for none."""

    spec: Spec
    notes: tuple[str, ...] = ()
    lacks: str = ""


def of_data(data: Data, stage: str, results: Results, write_cache: bool) -> Planned:
    """The spec of data as they are now, or, where they are gone, as they were prepared last.

    UserError for what is there and is no such data set.
    """
    root = Path(data.root)
    lacks = missing(data.dataset, root)
    if lacks or (data.is_own and not root.exists()):
        before = _last_prepared(data, stage, results)
        if before is not None:
            note = f"data: {root} is not there, or not whole; what was prepared from it on {before['made']} stands"
            return Planned(dict(before["spec"]), (note,))
    values = spec(data)
    for split in given_splits(data.dataset, root):  # which needs no fraction of train
        values.pop(f"{split}_fraction", None)
    if data.split_file is not None:
        values["split_file"] = {"name": data.split_file, "digest": "" if lacks else _digest(root / data.split_file)}
    if lacks:
        return Planned(values | {"content": {ABSENT: data.dataset}}, lacks=lacks)
    return Planned(values | {"content": _content(data, values, results.root / ".cache" / "content", write_cache)})


def _digest(path: Path) -> str:
    try:
        return file_digest(path)
    except OSError as error:
        raise UserError(f"data.split_file: {path} cannot be read ({error.strerror}); put that list there") from None


def _content(data: Data, values: Spec, cache: Path, write_cache: bool) -> Spec:
    """What identifies what lies at the data's root."""
    known = registry.DATASETS[data.dataset]
    if data.task == registry.TRANSLATION:
        module: Any = import_module(known.entry.partition(":")[0])
        files = module.files(Path(data.root), values["source"], values["target"])
        return content_of_files(Path(data.root), files, cache, write_cache)
    if not known.has_files:  # made by its code alone
        return {}
    return content(data.dataset, data.root, cache, write_cache)


def _last_prepared(data: Data, stage: str, results: Results) -> dict[str, Any] | None:
    """The record of the last result of these keys; None where there is none."""
    values = spec(data)
    for record in results.latest(stage, data.folder):
        prepared = {name: value for name, value in record["spec"].items() if name != "content"}
        if "split_file" in prepared:
            prepared["split_file"] = prepared["split_file"]["name"]
        lacking = values.keys() - prepared.keys()
        if prepared.items() <= values.items() and lacking <= {"val_fraction", "test_fraction"}:
            return record
    return None
