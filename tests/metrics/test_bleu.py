from dataclasses import replace

import pandas as pd
import pytest

pytest.importorskip("sacrebleu")

from sacrebleu.metrics import BLEU, CHRF

from lskd.errors import UserError
from lskd.metrics import bleu
from tests.metrics import translations
from tests.metrics.made import sealed

SHORT = {"bleu": BLEU(), "chrf": CHRF()}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return translations.runs(tmp_path_factory.mktemp("results"))


def final(run, split, temperature):
    table = pd.read_parquet(run.folders["translate"] / "translations.parquet")
    return table[(table["split"] == split) & (table["temperature"] == temperature)]


def test_each_run_split_and_temperature_has_its_scores(runs):
    rows = bleu.measure(runs, {})
    assert len(rows) == len(runs) * 2 * 2 * 3
    table = pd.DataFrame(rows)
    assert len(table.drop_duplicates(["run", "split", "temperature_at", "metric"])) == len(rows)
    for row in rows[:24]:
        if row["metric"] in SHORT:
            run = next(run for run in runs if run.row["run"] == row["run"])
            own = final(run, row["split"], row["temperature_at"])
            expected = SHORT[row["metric"]].corpus_score(own["hypothesis"].tolist(), [own["reference"].tolist()])
            assert row["value"] == pytest.approx(expected.score, abs=1e-9)
            assert row["signature"] == str(SHORT[row["metric"]].get_signature())
    assert all(row["signature"].startswith("nrefs:1|case:lc") for row in rows if row["metric"].endswith("lowercase"))


def test_the_course_of_training_is_that_of_the_snapshots_on_val(runs):
    rows = bleu.along_training(runs[:1], {})
    assert {row["split"] for row in rows} == {"val"}
    assert [row["update"] for row in rows if row["metric"] == "bleu"] == [5, 40]
    hypotheses, references = translations.sentences("val", 0, 0.55)
    assert rows[0]["value"] == pytest.approx(SHORT["bleu"].corpus_score(hypotheses, [references]).score, abs=1e-9)
    assert rows[0]["value"] < rows[3]["value"]


def test_a_smoothed_teachers_students_meet_the_hard_ones_of_their_seed_and_t(runs):
    rows = bleu.bootstrap(runs, {})
    pairs = {(row["run"], row["other"]) for row in rows}
    assert pairs == {
        (f"help/small/short/kd-T{t}-ls0.1/seed{seed}", f"help/small/short/kd-T{t}-ls0/seed{seed}")
        for t in (1, 2)
        for seed in (0, 1)
    }
    by_run = {run.row["run"]: run for run in runs}
    for row in rows:
        for value, run in (("value", row["run"]), ("other_value", row["other"])):
            own = final(by_run[run], "test", 1.0)
            expected = SHORT["bleu"].corpus_score(own["hypothesis"].tolist(), [own["reference"].tolist()])
            assert row[value] == pytest.approx(expected.score, abs=1e-9)
        assert 0 < row["p"] <= 1
        assert (row["resamples"], row["resampling_seed"]) == (1000, 12345)
    assert bleu.bootstrap([run for run in runs if run.row["label_smoothing"] == 0], {}) == []


def test_other_test_sentences_are_no_pair(runs, tmp_path):
    students = [run for run in runs if run.row["role"] == "student" and run.row["temperature"] == 1.0][:2]
    place = tmp_path / "translate-0000000009"
    place.mkdir()
    table = pd.read_parquet(students[1].folders["translate"] / "translations.parquet")
    table.assign(reference=table["reference"].str.upper()).to_parquet(place / "translations.parquet")
    other = replace(students[1], folders={"translate": sealed(place)})
    with pytest.raises(UserError, match=r"kd-T1-ls0.1/seed0: its test sentences are not those of .*kd-T1-ls0/seed0"):
        bleu.bootstrap([students[0], other], {})


def test_a_damaged_file_is_one_line(tmp_path):
    run = translations.runs(tmp_path, seeds=(0,))[0]
    path = run.folders["translate"] / "translations.parquet"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(UserError, match=r"translations\.parquet: damaged"):
        bleu.measure([run], {})
