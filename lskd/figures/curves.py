"""Training loss and held-out accuracy of students of a hard and of an LS teacher, by epoch (Shen 2021, figure 5)."""

from typing import Any

import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.rows import SETTING, alphas, cell, groups, measured, named, over_seeds, pick, present, temperatures

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "By epoch: the cross-entropy −T² sum over k of p_k(teacher, T) ln p_k(student, T) averaged over train, which is T²"
    " (KL + the teacher's entropy) (Shen 2021, eq. 3–4 and figure 5), and top-1 on val."
)
METRICS = {"train_loss": "loss on train (nats)", "val_top1": "top-1 on val (%)"}
CROSS_ENTROPY = "train_cross_entropy"


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """Loss on train and top-1 on val, in percent, by epoch, T and alpha of the teacher."""
    values = as_printed(pick(frames, "history", role="student", metric=[*METRICS, CROSS_ENTROPY]))
    at_temperatures = values["temperature"].isin(temperatures(values, options))
    values = values[values["temperature"].isna() | at_temperatures]
    percent = values["value"].where(values["metric"] != "val_top1", values["value"] * 100)
    numbers = named(over_seeds(values.assign(value=percent), [*SETTING, "metric", "epoch"]))
    return present(numbers, _layout(numbers), _caption(values, options), FORMULA)


def as_printed(values: pd.DataFrame) -> pd.DataFrame:
    """Curves whose loss is the cross-entropy, as in the paper, where that is known; else what was trained on."""
    known = set(values.loc[values["metric"] == CROSS_ENTROPY, "run"])
    replaced = values["metric"].eq("train_loss") & values["run"].isin(known)
    return values[~replaced].assign(metric=lambda rest: rest["metric"].replace(CROSS_ENTROPY, "train_loss"))


def _layout(numbers: pd.DataFrame) -> pd.DataFrame:
    """The last epoch of each setting, and the best mean accuracy."""
    rows = []
    for first, part in groups(numbers, SETTING):
        row = {
            "Student": f"{first['dataset']}: {first['network']}",
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
    loss = (
        "The loss is the cross-entropy with the teacher's softened outputs, whose entropy is that on clean training"
        " images; at each T on a scale of its own; of other losses than plain distillation, what was trained on"
    )
    return f"{what} (number of seeds in brackets). {loss}. {measured(values, options)}"


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """A row for each student and T; left the training loss, right the accuracy; a colour for each alpha."""
    rows = list(groups(table, ["dataset", "network", "temperature"]))
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
        title = f"{first['dataset']}: {first['network']}{style.degree_text(first)}"
        axes[i, 0].set_title(title, loc="left")
    for panel in axes[-1]:
        panel.set_xlabel("epoch")
    handles = [style.handle(f"teacher {style.alpha_text(a)}", color=style.alpha_colour(a)) for a in alphas(table)]
    style.legend_below(figure, handles, 3)
    return figure
