"""Every job behind a file, down to the data, by the records of the results. No torch, and no plan."""

from pathlib import Path
from typing import Any

from lskd.errors import UserError
from lskd.fingerprint import definitions as fingerprint
from lskd.io.layout import PROCESS
from lskd.io.seal import RECORD, read_record
from lskd.jobs import why
from lskd.jobs.listing import STAGE_OF, Entry, short
from lskd.jobs.results import read_adopted

Node = dict[str, Any]


class Lineage:
    """The tree behind a result; each job is told once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._adopted = list(read_adopted(root).values())
        self._seen: set[str] = set()
        self._today: dict[frozenset[str], dict[str, str] | str] = {}

    def of(self, entry: Entry) -> Node:
        """The tree of a result, as JSON values. UserError where its own record is missing or damaged."""
        read_record(entry.folder)
        return self._node(entry.below, None)

    def _node(self, below: str, expected: dict[str, str] | None) -> Node:
        """The node of a folder; `expected`: the digests of its files when it was read."""
        room, _, rest = below.partition("/")
        node: Node = {"stage": STAGE_OF[room], "title": rest[:-11], "address": rest[-10:]}
        if below in self._seen:
            return node | {"see": "above"}
        self._seen.add(below)
        try:
            record = read_record(self.root / below)
        except UserError as error:
            what = "is no longer there" if not (self.root / below / RECORD).exists() else str(error)
            return node | {"gone": what, "files": sorted(expected or {})}
        node |= {key: record[key] for key in ("made", "seconds", "commit", "seeds", "versions")}
        node |= {key: record["made_on"].get(key, []) for key in ("device", "precision", "threads")}
        node["spec"] = record["spec"]
        node["missing"] = [name for name in record["files"] if not (self.root / below / name).exists()]
        node["other_bytes"] = sorted(
            name for name, value in (expected or {}).items() if record["files"].get(name, value) != value
        )
        node["code"] = fingerprint.code_digest(record["definitions"])
        node["code_since"] = self._since(record)
        node["adopted"] = [self._adoption(each) for each in self._adopted if each["stands"] == record["address"]]
        node["inputs"] = {role: self._node(above["folder"], above["seal"]) for role, above in record["inputs"].items()}
        return node

    def _since(self, record: dict[str, Any]) -> list[str]:
        """The definitions of a result that are not today's."""
        entries = frozenset([PROCESS, *record["functions"].values()])
        if entries not in self._today:
            try:
                self._today[entries] = fingerprint.definitions(entries)
            except UserError as error:
                self._today[entries] = f"this tree has not all of it ({error})"
        now = self._today[entries]
        return [now] if isinstance(now, str) else why.code_changes(record["definitions"], now)

    @staticmethod
    def _adoption(record: dict[str, Any]) -> Node:
        return {
            "for": record["address"],
            "code": {key: fingerprint.code_digest(value) for key, value in record["code"].items()},
            **{key: record[key] for key in ("differences", "adopted", "by", "commit")},
        }


def lines(node: Node, role: str = "", depth: int = 0) -> list[str]:
    """A tree as indented lines."""
    pad = "  " * depth
    as_role = f" ({role})" if role and not role.startswith(node["stage"]) else ""
    head = f"{pad}{node['stage']} {node['title']} {node['address']}{as_role}"
    if "see" in node:
        return [f"{head}: see above"]
    if "gone" in node:
        files = f"; of its files only the digests are known: {', '.join(node['files'])}" if node["files"] else ""
        return [f"{head}: {node['gone']}{files}"]
    below = [line for key, each in node["inputs"].items() for line in lines(each, key, depth + 1)]
    return [head, *(f"{pad}  | {text}" for text in _facts(node)), *below]


def _facts(node: Node) -> list[str]:
    """What a record tells of how a result was made, and what is no longer so."""
    made_on = [" and ".join(values) for values in (node["device"], node["precision"]) if values]
    made_on += [f"threads {' and '.join(node['threads'])}"] if node["threads"] else []
    made_on += [f"{name} {value}" for name, value in node["versions"].items()]
    seeds = f"seed {', '.join(map(str, node['seeds']))}; " if node["seeds"] else ""
    facts = [
        f"made {node['made'][:16].replace('T', ' ')} in {node['seconds']:g} s; {seeds}commit {short(node['commit'])}; "
        f"code {node['code']}",
        ", ".join(made_on),
    ]
    if node["missing"]:
        facts.append(f"no longer there: {', '.join(node['missing'])}")
    if node["other_bytes"]:
        facts.append(f"made again since, with other bytes: {', '.join(node['other_bytes'])}")
    if node["code_since"]:
        facts.append(f"code since: {'; '.join(node['code_since'])}")
    for each in node["adopted"]:
        when, code = each["adopted"][:16].replace("T", " "), each["code"]
        changes = "; ".join(each["differences"]) or "no definition of its own changed"
        facts.append(
            f"adopted for {each['for']} {when} by {each['by']}: code {code['of']} stands for {code['for']}: {changes}"
        )
    return facts
