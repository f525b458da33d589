import pytest

from lskd.metrics import calibration
from lskd.metrics.reliability import measure
from tests.metrics.made import study


def test_the_bins_of_each_binning_add_up_to_the_calibration_error(tmp_path):
    runs = study(tmp_path)
    rows = measure(runs, {})
    errors = {(row["run"], row["metric"]): row["value"] for row in calibration.measure(runs, {})}
    for run in runs:
        for scaled, suffix in ((False, ""), (True, "_scaled")):
            for binning, name in (("width", "ece"), ("mass", "ece_mass")):
                wanted = {"run": run.row["run"], "scaled": scaled, "binning": binning}
                bins = [row for row in rows if wanted.items() <= row.items()]
                assert [row["bin"] for row in bins] == list(range(15))
                assert all(one["upper"] == two["lower"] for one, two in zip(bins, bins[1:], strict=False))
                total = sum(row["count"] for row in bins)
                assert total == len(run.logits("test")[0])
                gaps = [abs(r["accuracy"] - r["confidence"]) * r["count"] / total for r in bins if r["count"]]
                assert sum(gaps) == pytest.approx(errors[run.row["run"], name + suffix], abs=1e-12)


def test_confidences_lie_within_their_bins(tmp_path):
    for row in measure(study(tmp_path), {}):
        if row["count"]:
            assert row["lower"] - 1e-12 <= row["confidence"] <= row["upper"] + 1e-12
