"""A pack described as an RO-Crate 1.1: each file with its digest, each job as an action of a Process Run Crate.

A function of the results' records alone, and of `CITATION.cff` where there is one beside config.yaml. No torch.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from rocrate.model.entity import Entity
from rocrate.rocrate import ContextEntity, ROCrate, SoftwareApplication

from lskd.io.seal import Record
from lskd.jobs.archive import STUDIES, Item
from lskd.jobs.job import digest
from lskd.study import yaml_file
from lskd.study.config import Study

CITATION = Path("CITATION.cff")
PROFILE = "https://w3id.org/ro/wfrun/process/0.5"
TERMS = {"sha256": "https://w3id.org/ro/terms/workflow-run#sha256"}  # which RO-Crate 1.1 itself lacks
TYPES = {  # encodingFormat by ending
    "arrow": "application/vnd.apache.arrow.file",
    "csv": "text/csv",
    "html": "text/html",
    "json": "application/json",
    "jsonl": "application/jsonl",
    "md": "text/markdown",
    "parquet": "application/vnd.apache.parquet",
    "pdf": "application/pdf",
    "png": "image/png",
    "safetensors": "application/octet-stream",
    "svg": "image/svg+xml",
    "tex": "application/x-tex",
    "yaml": "application/yaml",
    "txt": "text/plain",
    "model": "application/octet-stream",  # sentencepiece's
}

_PROJECTS = {"PIL": "pillow"}


def describe(study: Study, records: Mapping[str, Record], items: Mapping[str, Item]) -> bytes:
    """The text of `ro-crate-metadata.json` for a study's results and the files of its pack.

    `records`: of each result, by its folder below results/. Raises UserError for a CITATION.cff that is no YAML.
    """
    crate = ROCrate(version="1.1")
    crate.metadata.extra_terms.update(TERMS)
    files = {name: _file(crate, name, item) for name, item in sorted(items.items())}
    by_result = _files_of_results(study, records, files)
    actions = [_action(crate, below, records[below], records, by_result) for below in sorted(records)]
    _root(crate, study, records, actions)
    return (json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _file(crate: ROCrate, name: str, item: Item) -> Entity:
    properties = {
        "name": name.rpartition("/")[2],
        "contentSize": str(item.bytes),
        "encodingFormat": TYPES[name.rpartition(".")[2]],
        "sha256": item.sha256,
    }
    return crate.add_file(dest_path=name, properties=properties)


def _files_of_results(
    study: Study, records: Mapping[str, Record], files: Mapping[str, Entity]
) -> dict[str, list[Entity]]:
    """The files of each result that are in the pack, a figure's published ones too; by the result's folder."""
    by_result: dict[str, list[Entity]] = {below: [] for below in records}
    published = {
        f"figures/{study.scale}/{study.study}/{record['spec']['figure']}": below
        for below, record in records.items()
        if record["stage"] == "figure"
    }
    for name, entity in files.items():
        folder, _, file = name.removeprefix("results/").rpartition("/")
        below = folder if folder in by_result else published.get(f"{folder}/{file.rpartition('.')[0]}")
        if below is not None:
            by_result[below].append(entity)
    return by_result


def _action(
    crate: ROCrate, below: str, record: Record, records: Mapping[str, Record], by_result: Mapping[str, list[Entity]]
) -> Entity:
    """The job that made a result: of what, by what, when."""
    above = [each["folder"] for each in record["inputs"].values()]
    end = datetime.fromisoformat(record["made"])
    seeds = f", seed {', '.join(map(str, record['seeds']))}" if record["seeds"] else ""
    properties = {
        "@type": "CreateAction",
        "name": f"{record['stage']} {record['title']}",
        "description": f"The job {record['address']} of stage {record['stage']}{seeds}; its record.json holds its spec,"
        " the digest of its code and of all that it read",
        "startTime": (end - timedelta(seconds=record["seconds"])).isoformat(timespec="seconds"),
        "endTime": record["made"],
        "actionStatus": "http://schema.org/CompletedActionStatus",
    }
    return crate.add_action(
        _instrument(crate, record),
        identifier=f"#{record['stage']}-{record['address']}",
        object=_compact([entity for folder in dict.fromkeys(above) for entity in by_result.get(folder, [])]),
        result=_compact(list(by_result[below])),
        properties=properties,
    )


def _compact(entities: list[Entity]) -> Any:
    """As RO-Crate writes a list: one stands alone."""
    return entities[0] if len(entities) == 1 else entities


def _instrument(crate: ROCrate, record: Record) -> Entity:
    """lskd at its commit, with the libraries that it ran on."""
    commit, versions = record["commit"], dict(record["versions"])
    identifier = f"#lskd-{commit}-{digest(versions)}"
    known = crate.get(identifier)
    if known:
        return known
    version = versions.pop("lskd", "unknown")
    libraries = [_library(crate, name, each) for name, each in sorted(versions.items())]
    lskd = _software(crate, identifier, "lskd", version)
    lskd["description"] = f"commit {commit}" + " with edits" * commit.endswith("+")
    if len(commit) == 40:
        lskd["identifier"] = f"swh:1:rev:{commit}"  # what any archive calls that commit
    lskd["softwareRequirements"] = _compact(libraries)
    return lskd


def _library(crate: ROCrate, name: str, version: str) -> Entity:
    """Python, or a library where PyPI shows it."""
    plain = version.partition("+")[0]
    url = f"https://pypi.org/project/{_PROJECTS.get(name, name)}/{plain}/"
    if name == "python":
        url = f"https://www.python.org/downloads/release/python-{plain.replace('.', '')}/"
    library = _software(crate, url, name, version)
    library["url"] = url
    return library


def _software(crate: ROCrate, identifier: str, name: str, version: str) -> Entity:
    known = crate.get(identifier)
    properties = {"name": name, "softwareVersion": version}
    return known or crate.add(SoftwareApplication(crate, identifier, properties))


def _root(crate: ROCrate, study: Study, records: Mapping[str, Record], actions: list[Entity]) -> None:
    """The pack itself: what it is, whose, and of when."""
    root, cited = crate.root_dataset, yaml_file.read(CITATION) if CITATION.exists() else {}
    figures = [record for record in records.values() if record["stage"] == "figure"]
    answers = [record["notes"]["answer"] for record in figures if record["notes"].get("answer")]
    config = f"{STUDIES}/{study.scale}/{study.study}.yaml"
    root["name"] = f"{study.name or study.study} ({study.study}, scale {study.scale})"
    root["description"] = " ".join(
        [
            f"Results of the study {study.study} of lskd at scale {study.scale}: its metrics and figures, and the"
            f" record of each of the {len(records)} jobs behind them.",
            *answers,
            f"To draw the figures: `python -m lskd unpack` this archive in a checkout of lskd, then `snakemake"
            f" --configfile {config}`; results/figures holds them as drawn.",
        ]
    )
    root["datePublished"] = max(record["made"] for record in figures)[:10]
    root["license"] = _license(crate, cited)
    if authors := _authors(crate, cited):
        root["author"] = root["creator"] = _compact(authors)
    profile = {"@type": "CreativeWork", "name": "Process Run Crate", "version": "0.5"}
    root["conformsTo"] = _context(crate, PROFILE, profile)
    root["mentions"] = _compact(actions)


def _license(crate: ROCrate, cited: Mapping[str, Any]) -> Entity:
    name = cited.get("license")
    if isinstance(name, str):
        return _context(crate, f"https://spdx.org/licenses/{name}", {"@type": "CreativeWork", "name": name})
    text = "No license is stated; ask the authors"
    return _context(crate, "#license", {"@type": "CreativeWork", "name": text, "description": text})


def _authors(crate: ROCrate, cited: Mapping[str, Any]) -> list[Entity]:
    """Who CITATION.cff names: persons, or an entity with one name."""
    authors: Iterable[Any] = cited.get("authors") or []
    entities = []
    for author in authors:
        given, family = author.get("given-names", ""), author.get("family-names", "")
        name = author.get("name") or f"{given} {family}".strip()
        identifier = author.get("orcid") or f"#author-{hashlib.sha256(name.encode()).hexdigest()[:10]}"
        kind = "Organization" if author.get("name") else "Person"
        properties = {"@type": kind, "name": name}
        if author.get("affiliation"):
            properties["affiliation"] = str(author["affiliation"])
        entities.append(_context(crate, identifier, properties))
    return entities


def _context(crate: ROCrate, identifier: str, properties: dict[str, Any]) -> Entity:
    return crate.add(ContextEntity(crate, identifier, properties))
