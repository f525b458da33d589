"""A pack's description is an RO-Crate by the community's validator, and true of its records."""

import json
import zipfile
from datetime import datetime
from pathlib import Path

import pytest
import yaml

from lskd.errors import UserError
from lskd.io.layout import FILES
from lskd.io.seal import read_record
from lskd.jobs import archive, crate, pack
from lskd.jobs.listing import entries
from tests.jobs import finished as tiny
from tests.jobs.crates import issues

PERSON = {"given-names": "Ada", "family-names": "Lovelace", "orcid": "https://orcid.org/0000-0000-0000-0001"}


@pytest.fixture
def results(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tiny.copied(tmp_path)
    return Path("results")


def described(results, **cited):
    """The entities of the tiny study's crate by their ids."""
    if cited:
        Path("CITATION.cff").write_text(yaml.safe_dump(cited))
    pack.pack(tiny.planned(results), "tiny")
    with zipfile.ZipFile("tiny-demo.zip") as file:
        file.extractall("crate")
    content = json.loads(Path("crate", archive.CRATE).read_text())
    return {entity["@id"]: entity for entity in content["@graph"]}


def ids(value):
    return [each["@id"] for each in (value if isinstance(value, list) else [value])]


@pytest.mark.parametrize("cited", [{}, {"license": "MIT", "authors": [PERSON, {"name": "The others"}]}])
def test_the_validator_has_nothing_against_it(results, cited):
    described(results, **cited)
    for profile in ("ro-crate-1.1", "process-run-crate"):
        assert issues(Path("crate"), profile, "REQUIRED") == []


def test_the_validator_would_find_something(results):
    described(results)
    path = Path("crate", archive.CRATE)
    content = json.loads(path.read_text())
    (root,) = [entity for entity in content["@graph"] if entity["@id"] == "./"]
    del root["license"]
    path.write_text(json.dumps(content))
    assert any("license" in issue for issue in issues(Path("crate"), "ro-crate-1.1", "REQUIRED"))
    next(Path("crate/results/metrics").rglob("metrics.parquet")).unlink()
    assert len(issues(Path("crate"), "ro-crate-1.1", "REQUIRED")) > 1


def test_every_file_has_its_size_type_and_digest(results):
    by_id = described(results)
    with zipfile.ZipFile("tiny-demo.zip") as file:
        listed = json.loads(file.read(archive.LIST))["files"]
    del listed[archive.CRATE]
    assert {name for name, each in by_id.items() if each["@type"] == "File"} == set(listed)
    assert sorted(ids(by_id["./"]["hasPart"])) == sorted(listed)
    for name, item in listed.items():
        assert (int(by_id[name]["contentSize"]), by_id[name]["sha256"]) == (item["bytes"], item["sha256"])
    endings = {name.rpartition(".")[2] for names in FILES.values() for name in names}
    assert endings <= crate.TYPES.keys()


def test_every_job_is_an_action_of_what_it_read(results):
    by_id = described(results)
    jobs = {entry.address: read_record(entry.folder) for entry in entries(results)}
    actions = {name: each for name, each in by_id.items() if each["@type"] == "CreateAction"}
    assert {name.rpartition("-")[2] for name in actions} == set(jobs)
    assert sorted(ids(by_id["./"]["mentions"])) == sorted(actions)
    for name, action in actions.items():
        record = jobs[name.rpartition("-")[2]]
        above = {f"results/{each['folder']}/record.json" for each in record["inputs"].values()}
        assert above == {each for each in ids(action.get("object", [])) if each.endswith("/record.json")}
        own = [each for each in ids(action["result"]) if each.endswith(f"-{record['address']}/record.json")]
        assert len(own) == 1
        assert action["endTime"] == record["made"]
        taken = datetime.fromisoformat(action["endTime"]) - datetime.fromisoformat(action["startTime"])
        assert abs(taken.total_seconds() - record["seconds"]) <= 1
        lskd = by_id[action["instrument"]["@id"]]
        assert record["commit"] in lskd["description"] and lskd["softwareVersion"] == record["versions"]["lskd"]
        libraries = {by_id[each]["name"]: by_id[each]["softwareVersion"] for each in ids(lskd["softwareRequirements"])}
        assert libraries == {key: value for key, value in record["versions"].items() if key != "lskd"}
    (figure,) = [each for each in actions.values() if each["name"] == "figure demo/tiny/grid"]
    assert "results/figures/demo/tiny/grid.svg" in ids(figure["result"])


def test_whose_it_is_and_of_when(results):
    by_id = described(results, license="CC-BY-4.0", authors=[PERSON, {"name": "The others"}])
    root = by_id["./"]
    made = max(entry.record["made"] for entry in entries(results) if entry.stage == "figure")
    assert root["datePublished"] == made[:10]
    assert root["license"] == {"@id": "https://spdx.org/licenses/CC-BY-4.0"}
    assert [by_id[each]["name"] for each in ids(root["author"])] == ["Ada Lovelace", "The others"]
    assert "--configfile studies/demo/tiny.yaml" in root["description"]


def test_a_citation_that_is_none(results):
    Path("CITATION.cff").write_text("authors: [")
    with pytest.raises(UserError, match="CITATION.cff"):
        pack.pack(tiny.planned(results), "tiny")
    assert not Path("tiny-demo.zip").exists()
