"""What a study will claim, written down before its test numbers exist: `registrations/SCALE/STUDY.json`. No torch.

The file is to be committed. A verdict that is planned beside it says when it was registered, and what is otherwise now.
"""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lskd.errors import UserError
from lskd.fingerprint import definitions as fingerprint
from lskd.io.atomic import write_json
from lskd.io.layout import ROOMS
from lskd.io.seal import Record, holds, opened, read_record, sealed
from lskd.jobs import looks, why
from lskd.jobs.job import Job, digest
from lskd.jobs.provenance import commit
from lskd.study import naming, registry
from lskd.study.config import Study
from lskd.study.options import spec
from lskd.study.runs import Member, Run

if TYPE_CHECKING:
    from lskd.jobs.catalogue import Catalogue

REGISTRATIONS = Path("registrations")  # beside config.yaml
TEST_NUMBERS = {"predict": "test.logits.parquet", "translate": "translations.parquet", "metrics": "metrics.parquet"}
_SHOWN = 3  # files that a line names


def judging(study: Study) -> list[str]:
    """A study's figures that judge. UserError where it has none."""
    names = [name for name, figure in study.figures.items() if registry.FIGURES[figure.kind].judges != "none"]
    if not names:
        kinds = " or ".join(kind for kind, figure in registry.FIGURES.items() if figure.judges != "none")
        raise UserError(f"figures: {study.study} has none of kind {kinds}, so it claims nothing to register; add one")
    return names


def register(catalogue: "Catalogue", study: str) -> str:
    """Write the registration of a study; the line that says so.

    Raises UserError where a test number of its students exists already, or another registration stands there.
    """
    declared = catalogue.studies[study]
    path, figures = _path(declared), {name: _content(catalogue, study, name) for name in judging(declared)}
    if path.exists():
        return _again(path, figures)
    for figure in figures:
        _refuse_seen(catalogue, study, figure)
    about = {"study": study, "scale": declared.scale, "commit": commit(), "date": _now()}
    write_json(path, sealed(about | {"figures": figures}))
    return f"{path}: registered {'; '.join(_line(name, each) for name, each in figures.items())}; commit that file"


def options(catalogue: "Catalogue", study: str, figure: str) -> dict[str, Any]:
    """What a figure that judges is told, as options: `registered`, where its study is.

    It holds the registration's `date`, its `file`, and the `differences`: texts of what is otherwise than registered.
    """
    path = _path(catalogue.studies[study])
    if not path.exists():
        return {}
    registration = _read(path)
    before = registration["figures"].get(figure)
    if before is None:
        differences = [f"figures.{figure} was not registered"]
    else:
        differences = list(_differences(before, _content(catalogue, study, figure)))
    return {
        "registered": {"date": registration["date"][:10], "file": path.as_posix(), "differences": differences},
    }


def _path(study: Study) -> Path:
    return REGISTRATIONS / study.scale / f"{study.study}.json"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def _read(path: Path) -> Record:
    """A registration. UserError where it is not what was written."""
    with suppress(OSError):
        registration = opened(path.read_bytes())
        if registration and _is_registration(registration):
            return registration
    raise UserError(f"{path}: edited or damaged, it is not what was registered; git checkout -- {path}")


def _is_registration(registration: Record) -> bool:
    is_of_form = holds(registration, date=str, figures=dict)
    return is_of_form and all(_is_content(content) for content in registration["figures"].values())


def _is_content(content: Any) -> bool:
    """Whether what stands for a figure has what it is compared by."""
    if not isinstance(content, dict) or not holds(content, seeds=list, looks=list, code=dict):
        return False
    return all(isinstance(seed, int) for seed in content["seeds"])


def _content(catalogue: "Catalogue", study: str, figure: str) -> Record:
    """What is registered of a figure: what is compared with what, how often, by which code."""
    declared, members = catalogue.studies[study], catalogue.shown(study, figure)
    behind = {run.title: run for member in members for run in _behind(member.run)}.values()
    options = declared.figures[figure]
    families = registry.FIGURES[options.kind].families_of(declared.task_shown(figure))
    metrics = [catalogue.metrics(study, figure, family) for family in families]
    return {
        "figure": spec(options),
        "seeds": declared.seeds,
        "looks": declared.looks,
        "comparisons": _comparisons(members, registry.FIGURES[options.kind].judges == "all"),
        "students of a teacher": max((member.run.student + 1 for member in members), default=1),
        "recipes": {run.recipe_name: spec(run.recipe) | {"used": run.whole.used_file} for run in behind if run.recipe},
        "checkpoints": {run.title: catalogue.train(run).spec["checkpoint"] for run in behind if run.checkpoint},
        "data": {run.data.folder: catalogue.data(run.data).spec for run in behind},
        "code": _code(metrics, f"{registry.FIGURES[options.kind].module}:table"),
    }


def _behind(run: Run) -> Iterator[Run]:
    """A run, its teacher, its start, and so on."""
    yield run
    for above in (run.teacher, run.start):
        if above is not None:
            yield from _behind(above)


def _comparisons(members: Iterable[Member], is_all: bool) -> dict[str, dict[str, str]]:
    """The students, or all networks, setting by setting: alpha and T, and how these are taught."""
    comparisons: dict[str, dict[str, str]] = {}
    for member in members:
        if is_all or member.role == "student":
            row = member.row
            setting = f"{row['dataset']}: {row['model']} {row['recipe']}"
            setting += f" <- {row['lineage']}" if member.role == "student" else ""
            form = f" {row['smoothing']}" * (row["smoothing"] not in ("", "uniform"))
            text = f"alpha {row['label_smoothing']:g}{form}"
            text += "" if row["temperature"] is None else f", T {row['temperature']:g}"
            weight = "" if row["soft_weight"] in (None, 1) else f"weight {row['soft_weight']:g}"
            for part in (weight, row["variant"]):
                text += f", {part}" * bool(part)
            comparisons.setdefault(setting, {})[text] = naming.taught(member.run)
    return comparisons


def _code(metrics: list[Job], table: str) -> dict[str, str]:
    """Of each file, a digest of the definitions that make, measure and judge the numbers; what draws is none of it."""
    by_file: dict[str, set[tuple[str, str]]] = {}
    judged = fingerprint.definitions([table]).items()
    for name, value in {*judged, *(pair for job in _distinct(metrics) for pair in _definitions(job))}:
        by_file.setdefault(name.partition(":")[0], set()).add((name, value))
    return {file: digest(sorted(pairs)) for file, pairs in sorted(by_file.items())}


def _distinct(jobs: Iterable[Job]) -> list[Job]:
    """Jobs and all that they read, one of each code; what a result of other code was made of is in its record."""
    distinct: dict[Any, Job] = {}
    seen: set[Job] = set()
    waiting = list(jobs)
    while waiting:
        job = waiting.pop()
        if job not in seen:
            seen.add(job)
            stands_by_record = job.standing != job.address
            distinct[job if stands_by_record else frozenset(job.functions.values())] = job
            waiting += [] if stands_by_record else job.inputs.values()
    return list(distinct.values())


def _definitions(job: Job) -> Iterator[tuple[str, str]]:
    """The definitions of a job, each with its digest; of an accepted result its own, with those above it."""
    if job.standing == job.address:
        yield from job.definitions.items()
        return
    record = read_record(job.folder)
    yield from record["definitions"].items()
    for name, values in record["upstream"].items():
        yield from ((name, value) for value in values)


def _differences(before: Record, now: Record) -> Iterator[str]:
    """What is otherwise than registered, each in a few words."""
    registered, seeds = before["seeds"], now["seeds"]
    is_part = set(registered) <= set(seeds) or set(seeds) <= set(registered)
    if not is_part or len(seeds) not in (before["looks"] or [len(registered)]):
        yield f"seeds {registered} -> {seeds}"
    changes = why.spec_changes(_declared(before), _declared(now))
    yield from (text.removeprefix("spec: ") for text in changes)
    files = [file for file in before["code"] | now["code"] if before["code"].get(file) != now["code"].get(file)]
    if files:
        more = f" and {len(files) - _SHOWN} more" if len(files) > _SHOWN else ""
        yield f"code of {', '.join(files[:_SHOWN])}{more}"


def _declared(content: Record) -> Record:
    """What a study declares, but for its seeds."""
    return {key: value for key, value in content.items() if key not in ("seeds", "code")}


def _again(path: Path, figures: dict[str, Record]) -> str:
    """The line where a registration stands there already. UserError where it is another."""
    registration = _read(path)
    date, before = registration["date"][:10], registration["figures"]
    if before == figures:
        return f"{path}: registered on {date} as it is today"
    changes = [text for name in figures if name in before for text in _differences(before[name], figures[name])]
    changes = changes or ["its figures or seeds"]
    raise UserError(
        f"{path}: another registration stands there, of {date}; since then changed: {changes[0]}; to register anew,"
        f" move it aside: mv {path} {path}.old"
    )


def _refuse_seen(catalogue: "Catalogue", study: str, figure: str) -> None:
    """UserError where a test number of what a figure judges exists, or did when it was judged."""
    declared, root = catalogue.studies[study], catalogue.results.root
    runs = looks.judged_runs(catalogue, study, figure)
    addresses = {catalogue.train(run).standing for run in runs}
    seen = [path for path in looks.files(root) if not addresses.isdisjoint(looks.read_look(path)["runs"])]
    families = registry.FIGURES[declared.figures[figure].kind].families_of(declared.task_shown(figure))
    jobs = [catalogue.tested(run) for run in runs] + [catalogue.metrics(study, figure, each) for each in families]
    first = next((path for path in (*seen, *(path for job in jobs for path in _test_numbers(job)))), None)
    if first:
        fresh = [seed + declared.seeds[-1] + 1 for seed in range(len(declared.seeds))]
        raise UserError(
            f"{first}: test numbers of these runs exist already, so it is too late to register them; take seeds that"
            f" have none, such as --config seeds='{fresh}'"
        )


def _test_numbers(job: Job) -> Iterator[Path]:
    """The files of a job's test numbers that exist, made by today's code or by other."""
    room = job.results.root / ROOMS[job.stage]
    addresses = [job.standing, *(record["address"] for record in job.results.of_other_code(job))]
    paths = (room / f"{job.title}-{address}" / TEST_NUMBERS[job.stage] for address in addresses)
    yield from (path for path in paths if path.exists())


def _line(figure: str, content: Record) -> str:
    """A figure's registration in a few words."""
    pairs, settings = sum(map(len, content["comparisons"].values())), len(content["comparisons"])
    words = [
        f"{pairs} choices of alpha and T in {settings} setting{'s' * (settings > 1)}",
        f"{len(content['seeds'])} seeds",
    ]
    if content["students of a teacher"] > 1:
        words.append(f"{content['students of a teacher']} students of a teacher")
    if content["looks"]:
        words.append(f"looks at {', '.join(map(str, content['looks']))}")
    if "margin" in content["figure"]:
        words.append(f"margin {content['figure']['margin']:g}")
    return f"{figure} ({', '.join(words)}, code {digest(content['code'])})"
