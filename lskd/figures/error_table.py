"""Test errors of teachers and students (Müller 2019, section 4: the MNIST teachers and their narrow student)."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import accuracy_table
from lskd.figures.accuracy_table import layout, settings
from lskd.figures.beside import warning
from lskd.figures.rows import measured, pick, present

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = "100 − top-1 accuracy in %, on test; mean and sample standard deviation over seeds."


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Top-1 error in percent by setting: on test, and on val where the paper's is on val."""
    values = pick(frames, "accuracy", split=["val", "test"], metric="top1")
    errors = values.assign(value=100 - values["value"] * 100, metric="top1_error")
    numbers = settings(errors, options)
    caption = f"Test error in % (number of seeds in brackets). {measured(values, options)}{warning(numbers)}"
    return present(numbers, layout(numbers), caption, FORMULA)


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each setting; colour tells alpha and the marker T."""
    return accuracy_table.draw(table, frames, options)
