"""Which result stands for a job: its own, an adopted one, a trusted one."""

import pytest

from lskd.errors import UserError
from lskd.io.atomic import write_json
from lskd.io.seal import sealed
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.results import Results, read_adopted_file
from lskd.study.config import Data
from tests import small

OTHER, NEWER = "aaaaaaaaaa", "bbbbbbbbbb"


def job_of(root, **options):
    """A training of no study, its data's result in place."""
    jobs = Catalogue({}, Results(root, **options))
    small.place(jobs.data(Data()))
    return jobs.train(small.teacher())


def place(root, address, **changes):
    """A result of other code for the same training."""
    return small.place(
        job_of(root), **{"address": address, "definitions": {"lskd/training/loop.py:run": "0"}} | changes
    )


def adopt(root, job, stands):
    path = root / "adopted" / f"{job.address}.json"
    write_json(path, sealed({"address": job.address, "stands": stands}))
    return path


def test_its_own_stands_without_being_asked(tmp_path):
    place(tmp_path, OTHER)
    job = job_of(tmp_path)
    assert job.standing == job.address
    assert not job.results.is_complete(job)
    assert job.results.accepted(job) is None


def test_a_result_is_complete_when_every_file_and_the_record_are_there(tmp_path):
    job = job_of(tmp_path)
    folder = small.place(job)
    assert job.results.is_complete(job)
    for path in job.paths:
        path.rename(path.with_suffix(".aside"))
        assert not Results(tmp_path).is_complete(job), path.name
        path.with_suffix(".aside").rename(path)
    assert sorted(path.name for path in folder.iterdir()) == sorted(path.name for path in job.paths)


def test_trust_takes_a_whole_result_of_the_same_spec_and_other_code(tmp_path):
    folder = place(tmp_path, OTHER)
    job = job_of(tmp_path, trust_code=True)
    assert (job.standing, job.folder) == (OTHER, folder)
    assert job.results.is_complete(job)
    assert job.results.trusted[job.address][1]["address"] == OTHER
    small.place(job_of(tmp_path))  # its own comes first
    own = job_of(tmp_path, trust_code=True)
    assert own.standing == own.address
    assert own.results.trusted == {}


def test_trust_takes_the_last_made(tmp_path):
    place(tmp_path, OTHER, made="2026-01-02")
    place(tmp_path, NEWER, made="2026-01-03")
    assert job_of(tmp_path, trust_code=True).standing == NEWER
    assert [record["address"] for record in Results(tmp_path).latest("train", small.teacher().title)] == [NEWER, OTHER]


@pytest.mark.parametrize("why", ["spec", "input", "incomplete", "damaged", "unsealed", "moved"])
def test_trust_takes_nothing_else(tmp_path, why):
    folder = place(tmp_path, OTHER, **{"plain": "0000000000"} if why in ("spec", "input") else {})
    if why == "incomplete":
        (folder / "best.safetensors").unlink()
    elif why == "damaged":
        small.flip(folder / "record.json", 40)
    elif why == "unsealed":
        (folder / "record.json").unlink()
    elif why == "moved":
        folder.rename(folder.with_name(f"{folder.name[:-10]}{NEWER}"))
    job = job_of(tmp_path, trust_code=True)
    assert job.standing == job.address


def test_a_figure_is_never_trusted_but_drawn_anew(tmp_path):
    from tests.jobs.test_catalogue import tiny

    figure = tiny(tmp_path).figure("tiny", "grid")
    small.place(figure, address=OTHER)
    job = Catalogue(tiny().studies, Results(tmp_path, trust_code=True)).figure("tiny", "grid")
    assert job.standing == job.address


def test_what_reads_a_trusted_result_is_its_own_and_reads_that(tmp_path):
    place(tmp_path, OTHER)
    jobs = [Catalogue({}, Results(tmp_path, trust_code=trust)) for trust in (False, True)]
    own, trusting = (each.predict(small.teacher()) for each in jobs)
    assert trusting.inputs["weights"].standing == OTHER
    assert own.address != trusting.address
    assert trusting.described()["inputs"]["weights"].endswith(f"-{OTHER}")


def test_an_adopted_result_stands_while_it_is_there(tmp_path):
    folder = place(tmp_path, OTHER)
    adopt(tmp_path, job_of(tmp_path), OTHER)
    assert job_of(tmp_path).standing == OTHER
    assert job_of(tmp_path).results.trusted == {}
    (folder / "model.safetensors").unlink()
    job = job_of(tmp_path)
    assert job.standing == job.address
    small.place(job_of(tmp_path))
    (folder / "model.safetensors").write_text("back")
    job = job_of(tmp_path)
    assert job.standing == job.address  # its own, once it was made


def test_another_job_is_not_adopted_for(tmp_path):
    place(tmp_path, OTHER)
    adopt(tmp_path, job_of(tmp_path), OTHER)
    other = Catalogue({}, Results(tmp_path)).train(small.teacher(lr=0.5))
    assert other.standing == other.address


@pytest.mark.parametrize("damage", ["flip", "empty", "renamed", "json"])
def test_a_damaged_note_of_adoption_is_one_line(tmp_path, damage):
    place(tmp_path, OTHER)
    path = adopt(tmp_path, job_of(tmp_path), OTHER)
    if damage == "flip":
        path.write_text(path.read_text().replace(OTHER, NEWER))
    elif damage == "empty":
        path.write_text("")
    elif damage == "renamed":
        path.rename(path.with_name("0123456789.json"))
    else:
        path.write_text("[]")
    with pytest.raises(UserError, match="damaged; delete it and adopt again: rm -f ") as caught:
        job_of(tmp_path)
    assert "\n" not in str(caught.value)


def test_names_that_begin_alike_are_told_apart(tmp_path):
    """digits/a/short/ls0/seed1 is no namesake of seed12 or of seed1-more."""
    job = job_of(tmp_path)
    for title in (f"{job.title}0", f"{job.title}-more"):
        folder = tmp_path / "runs" / f"{title}-{OTHER}"
        folder.mkdir(parents=True)
        write_json(folder / "record.json", sealed({"address": OTHER, "made": "", "files": {}}))
    assert list(job.results.namesakes(job)) == []


def test_images_that_are_gone_are_those_of_the_last_result(tmp_path):
    from PIL import Image

    for name in "ab":
        for i in range(4):
            (tmp_path / "birds" / name).mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (8, 8), (40 * i, 0, 0)).save(tmp_path / "birds" / name / f"{i}.png")
    data = Data(dataset="imagefolder", root=str(tmp_path / "birds"))
    before = Catalogue({}, Results(tmp_path / "results")).data(data)
    small.place(before)
    (tmp_path / "birds").rename(tmp_path / "away")
    jobs = Catalogue({}, Results(tmp_path / "results"))
    assert jobs.data(data).address == before.address
    (note,) = jobs.notes
    assert "is not there, or not whole; what was prepared from it on 2026-01-01 stands" in note
    with pytest.raises(UserError, match="no such folder"):
        Catalogue({}, Results(tmp_path / "results")).data(data.model_copy(update={"image_size": 32}))


def test_images_with_a_split_of_their_own_that_are_gone(tmp_path):
    from PIL import Image

    for part in ("train/a", "train/b", "test/a", "test/b"):
        (tmp_path / "birds" / part).mkdir(parents=True)
        for i in range(3):
            Image.new("RGB", (8, 8), (40 * i, 0, 0)).save(tmp_path / "birds" / part / f"{i}.png")
    data = Data(dataset="imagefolder", root=str(tmp_path / "birds"))
    before = Catalogue({}, Results(tmp_path / "results")).data(data)
    assert "test_fraction" not in before.spec
    small.place(before)
    (tmp_path / "birds").rename(tmp_path / "away")
    assert Catalogue({}, Results(tmp_path / "results")).data(data).address == before.address


@pytest.mark.parametrize("stands", ["../../x", "0123456789/", 3, None, ["0123456789"]])
def test_what_is_adopted_is_an_address(tmp_path, stands):
    path = tmp_path / "0123456789.json"
    write_json(path, sealed({"address": "0123456789", "stands": OTHER}))
    assert read_adopted_file(path)["stands"] == OTHER
    write_json(path, sealed({"address": "0123456789", "stands": stands}))
    with pytest.raises(UserError, match="damaged; delete it and adopt again"):
        read_adopted_file(path)
    path.write_text("[" * 100_000)
    with pytest.raises(UserError, match="damaged; delete it and adopt again"):
        read_adopted_file(path)
