"""Every job behind a file, or a row of its numbers, down to the data, by the results' records. No torch, no plan."""

import csv
from pathlib import Path
from typing import Any

from lskd.errors import UserError
from lskd.fingerprint import definitions as fingerprint
from lskd.io.layout import PROCESS
from lskd.io.seal import RECORD, Record, checked, read_record
from lskd.jobs import why
from lskd.jobs.listing import STAGE_OF, Entry, short
from lskd.jobs.results import read_adopted
from lskd.study.identity import IDENTITY

Node = dict[str, Any]
OF_ONE_SETTING = (  # kinds of figures of which a row's numbers are of the runs that its own columns name, and no others
    *("accuracy_table", "calibration_table", "clusters", "curves", "error_table", "grid", "information"),
    *("inter_stability", "probabilities", "reliability", "soft_targets", "stability"),
)


class Lineage:
    """The tree behind a result; each job is told once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._adopted = list(read_adopted(root).values())
        self._seen: set[str] = set()
        self._today: dict[frozenset[str], dict[str, str] | str] = {}
        self._row: dict[str, str] | None = None  # what is asked of a figure, by column, where its runs can be told

    def of(self, entry: Entry) -> Node:
        """The tree of a result, as JSON values. UserError where its own record is missing or damaged."""
        read_record(entry.folder)
        return self._node(entry.below, None)

    def of_row(self, entry: Entry, number: int) -> Node:
        """The tree of a row of a figure's CSV, the first below its heading being 1: of the runs that it measures.

        Where its numbers compare runs, as a verdict's do, all runs of the figure are behind it. UserError where there
        is no such row.
        """
        if entry.stage != "figure":
            raise UserError(f"--row: {entry.below} is no figure; name a figure's CSV")
        row, kind = _row(entry.folder, number), read_record(entry.folder)["spec"]["kind"]
        if kind in OF_ONE_SETTING:
            self._row = {name: row[name] for name in IDENTITY if row.get(name)}
        return {"row": number, "values": row, "compares": kind not in OF_ONE_SETTING} | self.of(entry)

    def _is_behind(self, record: Record, role: str) -> bool:
        """Whether what a metric reads in a role is behind the row that is asked for."""
        stage, _, title = role.partition(" ")
        if self._row is None or "rows" not in record["spec"]:
            return True
        of_row = [each for each in record["spec"]["rows"] if _is_of(each, self._row)]
        names = {each["dataset"] for each in of_row} if stage == "data" else set()
        names |= {each[name] for each in of_row for name in ("run", "teacher")}
        return title in names or not of_row

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
        node["files"] = sorted(record["files"])
        node["missing"] = [name for name in node["files"] if not (self.root / below / name).exists()]
        node["other_bytes"] = sorted(
            name for name, value in (expected or {}).items() if record["files"].get(name, value) != value
        )
        node["code"] = fingerprint.code_digest(record["definitions"])
        node["code_since"] = self._since(record)
        node["adopted"] = [self._adoption(each) for each in self._adopted if each["stands"] == record["address"]]
        node["inputs"] = {
            role: self._node(above["folder"], above["seal"])
            for role, above in record["inputs"].items()
            if self._is_behind(record, role)
        }
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
            "checked": record.get("checked", False),
            **{key: record[key] for key in ("differences", "adopted", "by", "commit")},
        }


def _row(folder: Path, number: int) -> dict[str, str]:
    """A row of a figure's CSV, by column."""
    with checked(folder / "figure.csv", folder).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not 1 <= number <= len(rows):
        raise UserError(f"--row: found {number}; this figure has rows 1 to {len(rows)}, below its heading")
    return rows[number - 1]


def _is_of(run: dict[str, Any], row: dict[str, str]) -> bool:
    """Whether a run has the values of a row, in the columns that the row fills."""
    return all(_is_equal(run.get(name), text) for name, text in row.items())


def _is_equal(value: Any, text: str) -> bool:
    if isinstance(value, str):
        return value == text
    try:
        return value is not None and float(value) == float(text)
    except ValueError:
        return False


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
    facts = [_row_fact(node)] if "row" in node else []
    facts += [
        f"made {node['made'][:16].replace('T', ' ')} in {node['seconds']:g} s; {seeds}commit {short(node['commit'])}; "
        f"code {node['code']}",
        ", ".join(made_on),
    ]
    if content := node["spec"].get("content"):
        facts.append(f"content {', '.join(_content(content))}")
    if node["files"] and node["missing"] == node["files"]:
        facts.append(f"its record alone is here; of its files the digests are known: {', '.join(node['files'])}")
    elif node["missing"]:
        facts.append(f"no longer there: {', '.join(node['missing'])}")
    if node["other_bytes"]:
        facts.append(f"made again since, with other bytes: {', '.join(node['other_bytes'])}")
    if node["code_since"]:
        facts.append(f"code since: {'; '.join(node['code_since'])}")
    for each in node["adopted"]:
        when, code = each["adopted"][:16].replace("T", " "), each["code"]
        changes = "; ".join(each["differences"]) or "no definition of its own changed"
        changes += "; it was checked to make the same bits" if each["checked"] else ""
        facts.append(
            f"adopted for {each['for']} {when} by {each['by']}: code {code['of']} stands for {code['for']}: {changes}"
        )
    return facts


def _content(content: dict[str, Any]) -> list[str]:
    """What identifies the images: published files by their digests, or how many they are, and one digest of all."""
    flat = {**content, **content["files"]} if isinstance(content.get("files"), dict) else content
    return [f"{name} {value}" for name, value in flat.items() if not isinstance(value, dict)]


def _row_fact(node: Node) -> str:
    """The row that is asked for, and whether its runs alone follow."""
    values = ", ".join(f"{name} {text}" for name, text in node["values"].items() if text)
    what = "it compares runs, so all of the figure's follow" if node["compares"] else "its runs follow"
    return f"row {node['row']}: {values}; {what}"
