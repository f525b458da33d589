"""What is planned and why, in a few lines."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from lskd.io.seal import RECORD
from lskd.jobs.job import Job

LINES = 10
_SHOWN = 3  # changes that one line names
_WORDS = {  # of stages that are no word
    "data": "data set",
    "predict": "prediction",
    "translate": "translation",
    "teacher_logits": "store of teacher logits",
    "metrics": "metric",
}
_PLURALS = {
    "data set": "data sets",
    "corpus": "corpora",
    "training on labels": "trainings on labels",
    "student": "students",
    "prediction": "predictions",
    "translation": "translations",
    "store of teacher logits": "stores of teacher logits",
    "snapshots": "snapshots",
    "metric": "metrics",
    "figure": "figures",
}


def told(pending: list[Job], most: int | None = LINES) -> list[str]:
    """At most ten lines, or all: how many jobs of each kind, and why each of them has no result yet.

    A job follows if nothing but what it reads is new.
    """
    if not pending:
        return []
    reasons: dict[str, Counter[str]] = {}
    for job in pending:
        reasons.setdefault(reason(job), Counter())[kind(job)] += 1
    follows = reasons.pop("", None)
    lines = [f"{counted(kinds)}: {text}" for text, kinds in reasons.items()]
    if most and len(lines) > most - 2:
        more = len(lines) - (most - 3)
        lines = [*lines[: most - 3], f"and {more} more reasons: python -m lskd why"]
    if follows:
        lines.append(f"{counted(follows)}: made of these")
    return [f"{len(pending)} job{'s' * (len(pending) > 1)} to do", *(f"  {line}" for line in lines)]


def reason(job: Job) -> str:
    """Why a job has no result; "" where it only reads what is new."""
    if job.lacks:
        return "files not there"
    if (job.folder / RECORD).exists():
        names = [path.name for path in job.paths if not path.exists()]
        return f"{', '.join(names[:_SHOWN])} {'is' if len(names) == 1 else 'are'} gone"
    differences = [difference(job, record) for record in job.results.namesakes(job)]
    if not differences:
        return "begun, not finished" if job.folder.exists() else "new"
    spec, code = min(differences, key=lambda both: len(both[0]) + len(both[1]))  # from what is most alike
    return "; ".join([*_some(spec), *_some(code)])


def _some(changes: list[str]) -> list[str]:
    """The first of some changes, and how many more there are."""
    more = len(changes) - _SHOWN
    return changes if more <= 0 else [*changes[:_SHOWN], f"and {more} more"]


def difference(job: Job, record: dict[str, Any], whole: bool = False) -> tuple[list[str], list[str]]:
    """What tells a job from a result of the same title: changes of its spec, changed definitions."""
    return spec_changes(record["spec"], job.spec, whole), code_changes(record["definitions"], job.definitions)


def spec_changes(before: Any, after: Any, whole: bool = False) -> list[str]:
    """Each value of a spec that changed: "spec: recipe.lr 0.1 -> 0.2"; long values are cut unless `whole`."""
    old, new = dict(_flat(before)), dict(_flat(after))
    keys = [key for key in old.keys() | new.keys() if old.get(key, _NONE) != new.get(key, _NONE)]
    show = _written if whole else _shown
    return [f"spec: {key} {show(old.get(key, _NONE))} -> {show(new.get(key, _NONE))}" for key in sorted(keys)]


def code_changes(before: dict[str, str], after: dict[str, str]) -> list[str]:
    """Each definition that changed, came or went: "lskd/supervision/losses.py:kd changed"."""
    words = []
    for name in sorted(before.keys() | after.keys()):
        if name not in after:
            words.append(f"{name} is no longer used")
        elif name not in before:
            words.append(f"{name} is new")
        elif before[name] != after[name]:
            words.append(f"{name} changed")
    return sorted(words, key=lambda word: not word.endswith("changed"))


def of_result(job: Job, record: dict[str, Any], role: str = "", told_before: set[str] | None = None) -> list[str]:
    """All that tells a result from today's job of its title, in full, and then what tells apart what the two read."""
    told_before = set() if told_before is None else told_before
    head = f"{role or job.stage}: {record['address']}, today's is {job.standing}"
    if record["address"] in told_before:
        return [f"{head}: see above"]
    told_before.add(record["address"])
    lines = [head, *(f"  {text}" for texts in difference(job, record, whole=True) for text in texts)]
    for name in sorted(record["inputs"].keys() | job.inputs.keys()):
        before, above = record["inputs"].get(name), job.inputs.get(name)
        if before is None or above is None:
            lines.append(f"  reads {name}: {'today' if before is None else 'no longer'}")
        elif before["address"] != above.standing:
            namesakes = {each["address"]: each for each in above.results.namesakes(above)}
            older = namesakes.get(before["address"])
            gone = [f"{name}: {before['address']}, today's is {above.standing}; its record is no longer there"]
            lines += [f"  {line}" for line in (of_result(above, older, name, told_before) if older else gone)]
    return lines if len(lines) > 1 else [f"{lines[0]}; in spec, code and what they read the two are equal"]


def kind(job: Job) -> str:
    """What a job makes, in words."""
    if job.stage == "train":
        return "student" if "teacher" in job.inputs else "training on labels"
    return _WORDS.get(job.stage, job.stage)


def counted(kinds: Counter[str]) -> str:
    """ "1 figure, 2 metrics"."""
    return ", ".join(f"{count} {word if count == 1 else _PLURALS[word]}" for word, count in kinds.items())


_NONE = object()


def _flat(value: Any, path: str = "") -> Iterable[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, below in value.items():
            yield from _flat(below, f"{path}.{key}" if path else str(key))
    else:
        yield path, value


def _written(value: Any) -> str:
    return "nothing" if value is _NONE else str(value)


def _shown(value: Any) -> str:
    text = _written(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
