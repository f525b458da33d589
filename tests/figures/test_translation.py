"""The numbers behind the figures of translation against plain loops, and their words."""

import importlib
import statistics

import numpy as np
import pandas as pd
import pytest

from lskd.errors import UserError
from lskd.figures import calibration_table, reliability
from lskd.figures.tokens import as_calibration
from lskd.papers.read import lookup
from lskd.study import registry
from tests.figures import synthetic, synthetic_translation
from tests.figures.synthetic import frames_for


def module(kind):
    return importlib.import_module(registry.FIGURES[kind].module)


def values_of(frame, **wanted):
    for name, value in wanted.items():
        frame = frame[frame[name].isna() if value is None else frame[name] == value]
    return frame.sort_values("seed")["value"].tolist()


def assert_mean(row, values):
    assert row["mean"] == pytest.approx(statistics.mean(values))
    assert row["spread"] == pytest.approx(statistics.stdev(values))
    assert row["n"] == len(values) == 3


def test_decoding_shows_means_of_test_without_the_fitted_temperature():
    frames, options = frames_for("decoding")
    table = module("decoding").table(frames, options)
    assert len(table) == 2 * 3 * len(synthetic_translation.DECODED)
    assert set(table["temperature_at"]) == set(synthetic_translation.DECODED)
    for row in table.to_dict("records"):
        wanted = {name: row[name] for name in ("metric", "temperature_at", "label_smoothing", "role")}
        frame = frames["bleu" if row["metric"] == "bleu" else "next_token"]
        if row["metric"] != "bleu":
            wanted["is_fitted"] = False
        assert_mean(row, values_of(frame, split="test", **wanted))
    assert "case:mixed|tok:13a" in table.attrs["caption"]
    assert "case:lc" not in table.attrs["caption"]


def test_one_decoding_temperature_is_no_curve():
    frames, options = frames_for("decoding")
    frames = {name: frame[frame["temperature_at"] == 1] for name, frame in frames.items()}
    with pytest.raises(UserError, match="decoding: one decoding temperature is no curve"):
        module("decoding").table(frames, options)


def test_bleu_curves_show_the_last_and_the_best_update():
    frames, options = frames_for("bleu_curves")
    frames["bleu_history"].loc[frames["bleu_history"]["update"] == 300, "value"] += 20
    table = module("bleu_curves").table(frames, options)
    assert set(table["temperature"].dropna()) == {1.0}
    for row in table.to_dict("records"):
        temperature = None if np.isnan(row["temperature"]) else row["temperature"]
        wanted = {name: row[name] for name in ("update", "label_smoothing", "role", "model")}
        assert_mean(row, values_of(frames["bleu_history"], metric="bleu", temperature=temperature, **wanted))
    lines = [dict(zip(table.attrs["columns"], row, strict=True)) for row in table.attrs["rows"]]
    assert {line["Updates"] for line in lines} == {"500"}
    assert all(line["best BLEU"].endswith("after 300") for line in lines)
    teacher = next(line for line in lines if "(teacher)" in line["Network"] and line["α"] == "0")
    last = values_of(frames["bleu_history"], metric="bleu", role="teacher", label_smoothing=0, update=500)
    assert teacher["last BLEU"] == f"{statistics.mean(last):.2f} ± {statistics.stdev(last):.2f} (3)"


def test_tokens_become_calibration_rows():
    rows = synthetic.runs(students=False, baseline=False, seeds=(0,))
    tokens = synthetic_translation.next_token(rows, (1.0, 2.0))
    calibration = as_calibration(tokens)
    names = ["nll", "accuracy", "ece"]
    assert len(calibration) == len(rows) * 2 * (2 * len(names) + 1)
    for row in rows:
        for split in ("val", "test"):
            own = calibration[(calibration["run"] == row["run"]) & (calibration["split"] == split)]
            expected = {"temperature": 0.9 if row["label_smoothing"] else 1.8}
            for name in names:
                wanted = {"run": row["run"], "split": split, "metric": name}
                (expected[name],) = values_of(tokens, temperature_at=1, is_fitted=False, **wanted)
                (expected[f"{name}_scaled"],) = values_of(tokens, is_fitted=True, **wanted)
            assert dict(zip(own["metric"], own["value"], strict=True)) == pytest.approx(expected)


def test_token_figures_are_the_images_figures_of_the_same_numbers():
    frames, options = frames_for("token_reliability")
    of_images = {"reliability": frames["next_token_reliability"], "calibration": as_calibration(frames["next_token"])}
    table, images = module("token_reliability").table(frames, options), reliability.table(of_images, options)
    pd.testing.assert_frame_equal(table, images)
    assert table.attrs["columns"][-1] == "Tokens"
    assert "test tokens" in table.attrs["caption"]
    assert "images" not in table.attrs["caption"]
    plain = {"study": "mine", "figure": "calibration"}
    table = module("token_calibration_table").table(frames, plain)
    pd.testing.assert_frame_equal(table, calibration_table.table(of_images, plain))


def test_tokens_stand_beside_the_papers_translation_and_images_do_not():
    frames, options = frames_for("token_calibration_table")
    table = module("token_calibration_table").table(frames, options)
    assert set(table["paper_dataset"]) - {""} == {"WMT En-De"}
    own = table[(table["method"] == "baseline") & (table["metric"] == "ece") & table["paper"].notna()]
    of_paper = {"dataset": "WMT En-De", "method": "baseline", "metric": "ece", "label_smoothing": 0.0}
    assert own["paper"].unique().tolist() == [lookup("muller2019", "table3", **of_paper)]
    frames, options = frames_for("calibration_table")
    assert "WMT En-De" not in set(module("calibration_table").table(frames, options)["paper_dataset"])


def test_truncation_shows_the_mean_of_each_store():
    frames, options = frames_for("truncation")
    table = module("truncation").table(frames, options)
    assert table["store"].unique().tolist() == ["full", "top-4", "top-32", "top-32 + tail", "64 samples"]
    stores = {"full": "", "top-4": "kd_top_k-k4", "top-32": "kd_top_k-k32", "64 samples": "kd_sample"}
    stores["top-32 + tail"] = "kd_top_k-k32-tail"
    for row in table.to_dict("records"):
        wanted = {"temperature": row["temperature"], "label_smoothing": row["label_smoothing"], "metric": "bleu"}
        assert_mean(row, values_of(frames["bleu"], split="test", variant=stores[row["store"]], **wanted))
    assert table.attrs["columns"] == ["Networks", "Kept", "T", "α = 0", "α = 0.1"]
    samples = [row for row in table.attrs["rows"] if row[1] == "64 samples"]
    assert [row[2] for row in samples] == ["T = 1"]


def test_truncation_answers_in_caption_and_picture():
    frames, options = frames_for("truncation")
    drawer = module("truncation")
    table = drawer.table(frames, options)
    assert "So the fall is the truncation's" in table.attrs["answer"]
    assert table.attrs["answer"] in table.attrs["caption"]
    # at T = 64: full against three stores at both alphas, and the smoothed against the hard teacher at each of four
    assert "One family of 10 claims (6 effects of truncation and 4 effects of smoothing)" in table.attrs["caption"]
    assert "One look, at 3 seeds. Not registered" in table.attrs["caption"]
    figure = drawer.draw(table, frames, options)
    drawn = figure.subfigs[0].get_suptitle().replace("\n", " ").replace("\u00a0", " ")
    assert drawn == table.attrs["answer"]


def test_two_ways_that_share_a_store_are_not_mixed():
    frames, options = frames_for("truncation")
    scores, targets = frames["bleu"], frames["token_targets"]
    own = scores["variant"] == ""
    twin = scores[own].assign(run=scores["run"] + "-noT2", variant="noT2")
    kept = targets[targets["variant"] == ""].assign(run=lambda rows: rows["run"] + "-noT2", variant="noT2")
    frames = {"bleu": pd.concat([scores, twin]), "token_targets": pd.concat([targets, kept])}
    with pytest.raises(UserError, match="are told apart by no T and no kept tokens; name one group"):
        module("truncation").table(frames, options)


def test_only_the_temperatures_of_the_option():
    frames, options = frames_for("truncation")
    table = module("truncation").table(frames, options | {"temperatures": [1.0, 3.0]})
    assert set(table["temperature"]) == {1.0, 3.0}
    with pytest.raises(UserError, match="temperatures: no student was taught at 5"):
        module("truncation").table(frames, options | {"temperatures": [5.0]})


def bootstrap(rows, p=0.01, gain=-1.0):
    """Students of smoothed teachers against those of hard ones, as `lskd.metrics.bleu` has them."""
    students = [row for row in rows if row["role"] == "student" and row["label_smoothing"] > 0]
    how = {"split": "test", "other": "hard", "value": 20.0 + gain, "other_value": 20.0, "p": p, "resamples": 1000}
    return pd.DataFrame([row | how for row in students])


def test_grid_and_verdict_speak_of_bleu():
    rows = synthetic.runs(seeds=range(5))
    frames = {"bleu": synthetic_translation.bleu(rows, at=(0.7, 1.0)), "bleu_bootstrap": bootstrap(rows)}
    grid = module("grid").table({"bleu": frames["bleu"]}, {})
    assert set(grid["metric"]) == {"bleu"} and set(grid["unit"]) == {"BLEU"}
    of_test = frames["bleu"].query("metric == 'bleu' and split == 'test' and temperature_at == 1")
    for row in grid[grid["role"] == "student"].to_dict("records"):
        cell = of_test.query("role == 'student' and label_smoothing == @row['label_smoothing']")
        cell = cell[cell["temperature"] == row["temperature"]]
        assert row["ours"] == pytest.approx(cell.groupby("seed")["value"].mean().mean())
    verdict = module("verdict").table(frames, {})
    assert set(verdict["what"]) == {"bleu", "ls_t1_best"}
    caption, columns = verdict.attrs["caption"], verdict.attrs["columns"]
    assert "Test BLEU (sacrebleu, 13a, cased); differences in points" in caption and "BLEU" in columns
    assert "at T = 1 BLEU falls in 5 and rises in 0 of 5" in caption and "Not measured" not in caption
    assert " % on test" not in caption and " BLEU on test" in caption


@pytest.mark.parametrize(("p", "gain", "said"), [(0.2, -1.0, "falls in 0 and rises in 0"), (0.01, 1.0, "rises in 5")])
def test_a_bootstrap_is_told_by_its_p_and_its_sign(p, gain, said):
    rows = synthetic.runs(seeds=range(5))
    frames = {"bleu": synthetic_translation.bleu(rows), "bleu_bootstrap": bootstrap(rows, p, gain)}
    assert said in module("verdict").table(frames, {}).attrs["caption"]
