import numpy as np
import pandas as pd
import pytest

from lskd.errors import UserError
from lskd.metrics import calibration, next_token
from lskd.metrics.accuracy import nll, top_k_accuracy
from tests.metrics import translations
from tests.metrics.made import sealed


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    return translations.runs(tmp_path_factory.mktemp("results"), seeds=(0,))


@pytest.mark.parametrize("split", ["val", "test"])
def test_values_are_those_of_the_images_metrics_on_the_logits(runs, split):
    table = pd.DataFrame(next_token.measure(runs[:1], {}))
    labels_n, logits_nv = translations.logits(0, split)
    for temperature, is_fitted in ((0.5, False), (1.0, False), (1.25, True)):
        own = table[(table["split"] == split) & (table["temperature_at"] == temperature)]
        assert (own["is_fitted"] == is_fitted).all()
        both = calibration.confidences(labels_n, logits_nv, temperature)
        log_loss = nll(labels_n, logits_nv / temperature)
        expected = {
            "nll": log_loss,
            "perplexity": np.exp(log_loss),
            "accuracy": top_k_accuracy(labels_n, logits_nv, 1),
            "ece": calibration.ece(*both),
            "ece_mass": calibration.ece_mass(*both),
            "tokens": len(labels_n),
        }
        assert dict(zip(own["metric"], own["value"], strict=True)) == pytest.approx(expected, rel=1e-9)
    assert len(table) == 2 * 3 * 6


def test_bins_add_up_to_the_calibration_error(runs):
    rows = pd.DataFrame(next_token.reliability(runs, {}))
    values = pd.DataFrame(next_token.measure(runs, {}))
    assert set(rows["split"]) == {"test"}
    for run in runs:
        for scaled, temperature in ((False, 1.0), (True, 1.25)):
            for binning, metric in (("width", "ece"), ("mass", "ece_mass")):
                is_own = (rows["run"] == run.row["run"]) & (rows["scaled"] == scaled) & (rows["binning"] == binning)
                bins = rows[is_own]
                assert bins["bin"].tolist() == list(range(15))
                assert bins["count"].sum() == translations.TOKENS
                gaps = ((bins["accuracy"] - bins["confidence"]).abs() * bins["count"]).sum() / translations.TOKENS
                is_value = (values["run"] == run.row["run"]) & (values["temperature_at"] == temperature)
                is_value &= (values["split"] == "test") & (values["metric"] == metric)
                assert values.loc[is_value, "value"].tolist() == pytest.approx([gaps], abs=1e-12)


def test_snapshots_are_not_among_the_final_networks(tmp_path):
    run = translations.runs(tmp_path, seeds=(0,))[0]
    before = next_token.measure([run], {})
    path = run.folders["translate"] / "tokens.parquet"
    table = pd.read_parquet(path)
    pd.concat([table, table.assign(update=5, nll=99.0)]).to_parquet(path)
    sealed(path.parent)
    assert str(next_token.measure([run], {})) == str(before)


def test_a_network_that_diverged_is_one_line(tmp_path):
    run = translations.runs(tmp_path, seeds=(0,))[0]
    path = run.folders["translate"] / "tokens.parquet"
    pd.read_parquet(path).assign(nll=np.nan).to_parquet(path)
    sealed(path.parent)
    with pytest.raises(UserError, match=r"tokens\.parquet: holds NaN or infinity, so this run diverged"):
        next_token.measure([run], {})
