"""Training loss and held-out accuracy of students of a hard and of an LS teacher, by epoch (Shen 2021, figure 5)."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.rows import SETTING, alphas, cell, groups, measured, over_seeds, pick, present, temperatures

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "By epoch: T² KL(softmax(z_teacher/T) ‖ softmax(z_student/T)) averaged over train, and top-1 on val (Shen "
    "2021, figure 5)."
)
METRICS = {"train_loss": "distillation loss on train", "val_top1": "top-1 on val (%)"}


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Loss on train and top-1 on val, in percent, by epoch, T and alpha of the teacher."""
    values = pick(frames, "history", role="student", metric=list(METRICS))
    values = values[values["temperature"].isin(temperatures(values, options))]
    percent = values["value"].where(values["metric"] != "val_top1", values["value"] * 100)
    numbers = over_seeds(values.assign(value=percent), [*SETTING, "metric", "epoch"])
    return present(numbers, _layout(numbers), _caption(values, options), FORMULA)


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """The last epoch of each setting, and the best mean accuracy."""
    rows = []
    for first, part in groups(numbers, SETTING):
        row = {
            "Student": f"{first['dataset']}: {style.network_text(first)}",
            "T": style.temperature_text(first["temperature"]),
            "α": f"{first['label_smoothing']:g}",
            "Epochs": f"{part['epoch'].nunique()}",
        }
        for metric, text in METRICS.items():
            own = part[part["metric"] == metric]
            last = own.iloc[-1] if len(own) else None
            digits = 2 if metric == "val_top1" else 4
            row[f"last {text}"] = "—" if last is None else cell(last["mean"], last["spread"], last["n"], digits)
        rows.append(row)
    return pd.DataFrame(rows)


def _caption(values: pd.DataFrame, options: Options) -> str:
    what = (
        "Distillation from teachers without and with label smoothing α: the loss on train, and top-1 on val, by epoch"
    )
    loss = "The loss is the KL divergence (cross-entropy less the teacher's entropy), at each T on a scale of its own"
    return f"{what} (number of runs in brackets). {loss}. {measured(values, options)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each student and T; left the training loss, right the accuracy; a colour for each alpha."""
    keys = ["dataset", "group", "model", "teacher_model", "temperature"]
    rows = list(groups(table, keys))
    figure = style.figure(style.DOUBLE, 1.65 * len(rows) + 0.65, options)
    axes = figure.subplots(len(rows), 2, squeeze=False, sharex="row")
    for i, (first, part) in enumerate(rows):
        for panel, (metric, text) in zip(axes[i], METRICS.items(), strict=True):
            for alpha in alphas(part):
                own = part[(part["label_smoothing"] == alpha) & (part["metric"] == metric)]
                colour, spread = style.alpha_colour(alpha), own["spread"].fillna(0)
                panel.plot(own["epoch"], own["mean"], color=colour, linewidth=1.1)
                panel.fill_between(
                    own["epoch"], own["mean"] - spread, own["mean"] + spread, color=colour, alpha=0.18, lw=0
                )
            panel.set_ylabel(text)
            style.few_ticks(panel, y=5)
        title = f"{first['dataset']}: {style.network_text(first)}, T = {first['temperature']:g}"
        axes[i, 0].set_title(title, loc="left")
    for panel in axes[-1]:
        panel.set_xlabel("epoch")
    handles = [style.handle(f"teacher {style.alpha_text(a)}", color=style.alpha_colour(a)) for a in alphas(table)]
    style.legend_below(figure, handles, 3)
    return figure
