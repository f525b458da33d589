"""A study's results in one file, from which its figures are drawn elsewhere without torch. No torch.

In it: the metrics and the figures whole, of every other result behind them its record, the looks and the registration
that the verdict answers for, the study's config, and a description of all that as an RO-Crate.
"""

import hashlib
import json
import zipfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import xxhash
import yaml

from lskd.errors import UserError, mend
from lskd.figures.study_page import PAGE
from lskd.io.atomic import atomic
from lskd.io.seal import RECORD, Record, sealed
from lskd.jobs import archive, crate, looks, register
from lskd.jobs.catalogue import ancestors
from lskd.jobs.file_progress import FileProgress
from lskd.jobs.job import Job
from lskd.jobs.listing import PUBLISHED, STAGE_OF, bytes_of
from lskd.jobs.plan import Plan
from lskd.jobs.results import ADOPTED, read_adopted
from lskd.study import reading
from lskd.study.config import Study

WHOLE = frozenset({"metrics", "figure"})  # stages whose results are always packed whole
LOGITS = frozenset({"predict", "translate", "teacher_logits", "snapshots"})
DATA = frozenset({"data", "corpus"})
_TIME = (1980, 1, 1, 0, 0, 0)  # of every file in it, so that the same results give the same bytes
_PLAIN_FILE = 0o100644 << 16


@dataclass
class Parcel:
    """What is packed: files by their names in the pack, with the digest that a record names for them."""

    study: Study
    whole: frozenset[str]  # the stages whose results are packed whole, not by their record alone
    records: dict[str, Record] = field(default_factory=dict)  # of each result, by its folder below results/
    gone: list[str] = field(default_factory=list)  # the folders of results of which not even the record is left
    files: dict[str, Path] = field(default_factory=dict)
    expected: dict[str, str] = field(default_factory=dict)  # xxh3-128 by name
    texts: dict[str, bytes] = field(default_factory=dict)  # written for the pack
    trust: bool = False


def pack(plan: Plan, study: str, target: Path | None = None, more: frozenset[str] = frozenset()) -> list[str]:
    """Write a study's pack, `<study>-<scale>.zip` unless another name is given; what to say of it.

    `more`: stages that are packed whole too, such as LOGITS.
    Raises UserError, with nothing written, where the study is not finished or a file of it is damaged.
    """
    plan.ask([study])
    _check_finished(plan, study)
    plan.publish()
    parcel = _parcel(plan, study, WHOLE | more)
    target = target or Path(f"{study}-{parcel.study.scale}.zip")
    with atomic(target) as tmp:
        items = _write(parcel, tmp)
    return _lines(parcel, target, items)


def _check_finished(plan: Plan, study: str) -> None:
    if plan.pending:
        first = plan.pending[0]
        raise UserError(
            f"pack: {study} is not finished, jobs to do: {len(plan.pending)}, the first of them {first.stage}"
            f" {first.title}; finish it: snakemake {study}"
        )


def _parcel(plan: Plan, study: str, whole: frozenset[str]) -> Parcel:
    parcel = Parcel(plan.catalogue.studies[study], whole)
    root, figures = plan.results.root, parcel.study.figures
    jobs = [plan.catalogue.figure(study, figure) for figure in figures]
    behind = {job for figure in jobs for job in ancestors(figure)}
    parcel.trust = any(job.standing != job.address and not _stands_there(parcel, plan, job) for job in behind)
    _add_results(parcel, root, [job.below for job in jobs])
    _add_published(parcel, root)
    _add_looks(parcel, root)
    addresses = {record["address"] for record in parcel.records.values()}
    for address, record in read_adopted(root).items():
        if record["stands"] in addresses:
            parcel.files[f"results/{ADOPTED}/{address}.json"] = root / ADOPTED / f"{address}.json"
    registration = register.REGISTRATIONS / parcel.study.scale / f"{study}.json"
    is_judged = any(looks.judges(plan.catalogue, study, figure) for figure in figures)
    if registration.exists() and is_judged:  # then planning has read it
        parcel.files[registration.as_posix()] = registration
    parcel.texts[f"{archive.STUDIES}/{parcel.study.scale}/{study}.yaml"] = _config(parcel.study)
    return parcel


def _stands_there(parcel: Parcel, plan: Plan, job: Job) -> bool:
    """Whether a result of other code stands where it is unpacked too: adopted, and packed whole."""
    return job.stage in parcel.whole and job.address not in plan.results.trusted


def _add_results(parcel: Parcel, root: Path, folders: Iterable[str]) -> None:
    """These results and all that their records name above them."""
    waiting = list(folders)
    while waiting:
        below = waiting.pop()
        if below in parcel.records or below in parcel.gone:
            continue
        whole = STAGE_OF[below.partition("/")[0]] in parcel.whole
        if not whole and not (root / below / RECORD).exists():
            parcel.gone.append(below)
            continue
        record = parcel.records[below] = archive.exact_record(root / below)
        parcel.files[f"results/{below}/{RECORD}"] = root / below / RECORD
        for name, digest in record["files"].items() if whole else ():
            parcel.files[f"results/{below}/{name}"] = root / below / name
            parcel.expected[f"results/{below}/{name}"] = digest
        waiting += [above["folder"] for above in record["inputs"].values()]


def _add_published(parcel: Parcel, root: Path) -> None:
    """What people open by name: each figure's files, and the study's page."""
    study = parcel.study
    folder = Path(PUBLISHED) / study.scale / study.study
    for record in parcel.records.values():
        if record["stage"] == "figure":
            stem = record["spec"]["figure"]
            for name, digest in record["files"].items():
                path = folder / f"{stem}.{name.removeprefix('figure.')}"
                parcel.files[f"results/{path.as_posix()}"] = root / path
                parcel.expected[f"results/{path.as_posix()}"] = digest
    parcel.files[f"results/{(folder / PAGE).as_posix()}"] = root / folder / PAGE  # planning has just published it


def _add_looks(parcel: Parcel, root: Path) -> None:
    """The looks at any of the trained networks behind the study."""
    trained = {record["address"] for record in parcel.records.values() if record["stage"] == "train"}
    for path in looks.files(root):
        if not trained.isdisjoint(looks.read_look(path)["runs"]):
            parcel.files[f"results/{looks.LOOKS}/{path.name}"] = path


def _config(study: Study) -> bytes:
    """The study as a config file of its own, with its scale and the command line in it; `runtime` is a machine's."""
    values = json.loads(json.dumps(study.model_dump(mode="json", exclude_unset=True, exclude={"runtime"})))
    text = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
    if reading.parse(yaml.safe_load(text)).model_copy(update={"runtime": study.runtime}) != study:
        raise UserError(f"pack: {study.study} cannot be said by one config file; please report it")
    return text.encode()


def _write(parcel: Parcel, path: Path) -> dict[str, archive.Item]:
    """Write the pack; what it lists."""
    items: dict[str, archive.Item] = {}
    sizes = [_size(source) for source in parcel.files.values()]
    with zipfile.ZipFile(path, "w") as file, FileProgress("packed", sizes) as progress:
        for name in sorted(parcel.files):
            source = parcel.files[name]
            items[name] = _copy(source, file, name, parcel.expected.get(name))
            progress.add(items[name].bytes)
        for name, text in sorted(parcel.texts.items()):
            items[name] = _put(file, name, text)
        described = crate.describe(parcel.study, parcel.records, items)
        items[archive.CRATE] = _put(file, archive.CRATE, described)
        _put(file, archive.LIST, _list(parcel, items))
        file.comment = archive.COMMENT + b"0" * archive.DIGITS
    archive.seal(path)
    return items


def _copy(source: Path, file: zipfile.ZipFile, name: str, expected: str | None) -> archive.Item:
    """Put a file into the pack as it is read, once. UserError where its bytes are not those of its record."""
    own, sha256, size = xxhash.xxh3_128(), hashlib.sha256(), 0
    info = _info(name)
    info.file_size = _size(source)
    with file.open(info, "w") as out:
        for chunk in _chunks(source):
            own.update(chunk)
            sha256.update(chunk)
            size += len(chunk)
            out.write(chunk)
    if expected is not None and own.hexdigest() != expected:
        raise UserError(f"{source}: damaged, its bytes are not those that were written; {mend(source)}")
    return archive.Item(bytes=size, sha256=sha256.hexdigest())


def _chunks(source: Path) -> Iterator[bytes]:
    with _readable(source), source.open("rb") as content:
        while chunk := content.read(archive.CHUNK):
            yield chunk


def _size(source: Path) -> int:
    with _readable(source):
        return source.stat().st_size


@contextmanager
def _readable(source: Path) -> Iterator[None]:
    """Have a file that cannot be read told as that."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{source}: cannot be read ({error.strerror}); {mend(source)}") from None


def _put(file: zipfile.ZipFile, name: str, content: bytes) -> archive.Item:
    file.writestr(_info(name), content)
    return archive.Item(bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


def _info(name: str) -> zipfile.ZipInfo:
    assert name == archive.LIST or archive.is_allowed(name), name
    info = zipfile.ZipInfo(name, _TIME)
    info.compress_type = zipfile.ZIP_DEFLATED if name.endswith(archive.TEXTS) else zipfile.ZIP_STORED
    info.create_system, info.external_attr = 3, _PLAIN_FILE
    return info


def _list(parcel: Parcel, items: dict[str, archive.Item]) -> bytes:
    """The file that lists the others."""
    content = {
        "format": archive.FORMAT,
        "study": parcel.study.study,
        "scale": parcel.study.scale,
        "whole": sorted(parcel.whole),
        "trust": parcel.trust,
        "commits": sorted({record["commit"] for record in parcel.records.values()}),
        "files": {name: item.model_dump() for name, item in items.items()},
    }
    return (json.dumps(sealed(content), indent=1, sort_keys=True) + "\n").encode()


def _lines(parcel: Parcel, target: Path, items: dict[str, archive.Item]) -> list[str]:
    size, unpacked = target.stat().st_size, sum(item.bytes for item in items.values())
    lines = [
        f"{target}: {len(items)} files of {len(parcel.records)} results, {bytes_of(size)} ({bytes_of(unpacked)}"
        " unpacked)"
    ]
    if parcel.gone:
        lines.append(
            f"note: of {len(parcel.gone)} results behind these no record is left ({min(parcel.gone)} is one): their"
            " lineage ends there"
        )
    return [*lines, f"unpack it in another checkout: python -m lskd unpack {target}"]
