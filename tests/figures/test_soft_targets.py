"""Soft targets: at many classes the small probabilities of a high T can be seen."""

import numpy as np
import pandas as pd
import pytest

from lskd.figures import soft_targets, style
from tests.figures import synthetic


@pytest.mark.parametrize("classes", [10, 64])
def test_the_bars_of_a_high_temperature_are_seen_beside_those_of_a_low_one(classes):
    """The highest bar of T = 40 takes a twentieth of the panel's height or more, and so does the line at 1/K."""
    names = [f"c{i:02}" for i in range(classes)]
    rows = []
    for temperature in (1.0, 40.0):
        weight_k = np.exp(np.where(np.arange(classes) == 3, 12.0, 0.0) / temperature)
        at = {"split": "train", "temperature_at": temperature, "class": "c03"}
        for name, value in zip(names, weight_k / weight_k.sum(), strict=True):
            rows += [run | at | {"predicted": name, "value": value} for run in synthetic.runs(students=False)]
    frames = {"probabilities": pd.DataFrame(rows)}
    options = {"classes": ["c03"]}
    table = soft_targets.table(frames, options)
    with style.context():
        figure = soft_targets.draw(table, frames, options)
    panels = [panel for panel in figure.axes if panel.get_title() == "T = 40"]
    assert panels
    for panel in panels:
        for height in (table.loc[table["temperature_at"] == 40, "mean"].max(), 1 / classes):
            _, y = panel.transAxes.inverted().transform(panel.transData.transform((0, height)))
            assert 0.05 < y < 1
