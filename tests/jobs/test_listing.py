"""What lies in a folder of results."""

import os

import pytest

from lskd.errors import UserError
from lskd.io.seal import RECORD
from lskd.jobs import listing
from tests.jobs import finished as tiny


@pytest.fixture
def results(tmp_path):
    return tiny.copied(tmp_path)


def test_every_result_of_the_plan_is_listed(results):
    plan = tiny.planned(results)
    jobs = {(job.stage, job.title, job.address, job.folder) for job in plan.catalogue.everything()}
    entries = listing.entries(results)
    assert {(entry.stage, entry.title, entry.address, entry.folder) for entry in entries} == jobs
    assert {entry.below for entry in entries} == set(plan.catalogue.by_folder)
    assert all(entry.record["address"] == entry.address for entry in entries)
    assert sum(entry.size for entry in entries) == sum(
        path.stat().st_size for room in listing.STAGE_OF for path in (results / room).rglob("*") if path.is_file()
    )


def test_lines(results):
    entries = listing.entries(results)
    unfinished, damaged, current = entries[0], entries[1], entries[2]
    (unfinished.folder / RECORD).unlink()
    (damaged.folder / RECORD).write_text("{}")
    lines = listing.lines(listing.entries(results), {current.below})
    assert lines[0].split()[0] == unfinished.stage and "unfinished" in lines[0]
    assert "damaged" in lines[1]
    assert (
        lines[2].endswith("current") and current.address in lines[2] and f"{current.record['seconds']:g} s" in lines[2]
    )
    assert lines[-1].startswith(f"{len(entries)} results, ") and lines[-1].endswith("; 1 current")


def test_linked_rooms_and_circles(results, tmp_path):
    (results / "runs").rename(tmp_path / "elsewhere")
    (results / "runs").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere/back").symlink_to(results / "runs")
    assert len(listing.entries(results)) == len(listing.entries(tiny.finished()))
    assert not [entry for entry in listing.entries(results, through_links=False) if entry.stage == "train"]


def test_a_folder_that_looks_addressed_but_holds_folders_is_none(results):
    figure = results / "metrics/demo/tiny-0123456789"
    figure.mkdir()
    (results / "metrics/demo/tiny").rename(figure / "tiny")
    titles = {entry.title for entry in listing.entries(results) if entry.stage == "metrics"}
    assert "demo/tiny-0123456789/tiny/grid/accuracy" in titles


def test_the_result_of_a_file(results, tmp_path):
    drawn = next((results / "drawn/demo/tiny").glob("grid-*"))
    assert listing.result_of(results, drawn).folder == drawn
    assert listing.result_of(results, drawn / "figure.csv").folder == drawn
    assert listing.result_of(results, results / "figures/demo/tiny/grid.png").folder == drawn
    copy = tmp_path / "table 1.csv"
    copy.write_bytes((drawn / "figure.csv").read_bytes())
    assert listing.result_of(results, copy).folder == drawn
    os.truncate(copy, 5)
    with pytest.raises(UserError, match="equals no file of any result"):
        listing.result_of(results, copy)
    with pytest.raises(UserError, match="no such file"):
        listing.result_of(results, tmp_path / "none.csv")


def test_sizes_and_commits():
    assert [listing.bytes_of(size) for size in (0, 999, 1000, 1_500_000, 999_999_999, 2e12)] == [
        *("0 B", "999 B", "1.0 kB", "1.5 MB", "1.0 GB", "2.0 TB")
    ]
    assert listing.short("a" * 40 + "+") == "aaaaaaaaaa+"
    assert listing.short("unknown") == "unknown"


def test_a_study_whose_name_ends_as_an_address_does_is_no_result(tmp_path):
    folder = tmp_path / "drawn/demo/tiny-2024010112/grid-0123456789"
    folder.mkdir(parents=True)
    (folder / "record.json").write_text("{}")
    (folder.parent / ".DS_Store").write_text("")
    assert [entry.folder for entry in listing.entries(tmp_path)] == [folder]
