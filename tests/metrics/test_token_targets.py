import math

import pytest

from lskd.metrics.token_targets import measure
from tests.metrics import translations

WAYS = {
    "all": ({"way": "kd", "temperature": 2.0}, (math.nan, False, math.nan)),
    "top": ({"way": "kd_top_k", "k": 4, "tail": False, "temperature": 2.0}, (4.0, False, math.nan)),
    "top with tail": ({"way": "kd_top_k", "k": 32, "tail": True, "temperature": 2.0}, (32.0, True, math.nan)),
    "samples": ({"way": "kd_sample", "sampled": 64, "temperature": 1.0}, (math.nan, False, 64.0)),
}


@pytest.mark.parametrize("case", WAYS)
def test_what_was_kept_is_what_the_record_says(tmp_path, case):
    supervision, (kept, tail, sampled) = WAYS[case]
    teacher, student = translations.runs(tmp_path, seeds=(0,))[:2]
    translations.taught(student, **supervision)
    (row,) = measure([teacher, student], {})
    assert row["run"] == student.row["run"]
    assert [row["way"], row["tail"]] == [supervision["way"], tail]
    assert [row["kept"], row["sampled"]] == pytest.approx([kept, sampled], nan_ok=True)
