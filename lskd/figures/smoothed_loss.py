"""The logistic loss corrected by label smoothing, in closed form (Shen 2021, figure 3): no data, no training."""

import math
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lskd.figures import style
from lskd.figures.rows import groups, present

Frames = dict[str, pd.DataFrame]
Options = dict[str, Any]
FORMULA = (
    "(1 − α) log(1 + exp(−z)) + α log(1 + exp(z)), the logistic loss with label smoothing in closed form (Shen "
    "2021, figure 3)."
)
ALPHAS = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4)
LOGITS = np.linspace(-10, 10, 201)


def table(frames: Frames, options: Options) -> pd.DataFrame:
    """The loss of the positive class at each logit z, for several alpha.

    Shen's eq. 1 with K = 2: (1 - alpha) log(1 + exp(-z)) + alpha log(1 + exp(z)).
    """
    losses = pd.concat(
        pd.DataFrame({"label_smoothing": alpha, "logit": LOGITS, "loss": loss(LOGITS, alpha)}) for alpha in ALPHAS
    )
    caption = (
        "The logistic loss corrected by label smoothing, (1 − α) log(1 + exp(−z)) + α log(1 + exp(z)): Shen's eq. 1 "
        "with K = 2; for α > 0 it is smallest at z = log((1 − α)/α) and grows beyond. Closed form, no training."
    )
    return present(losses, _layout(), caption, FORMULA)


def loss(logit: Any, alpha: float) -> Any:
    """The smoothed logistic loss of the positive class, in nats."""
    return (1 - alpha) * np.logaddexp(0, -logit) + alpha * np.logaddexp(0, logit)


def _layout() -> pd.DataFrame:
    rows = []
    for alpha in ALPHAS:
        best = math.log((1 - alpha) / alpha) if alpha else math.inf
        rows.append(
            {
                "α": f"{alpha:g}",
                "smallest loss": f"{loss(best, alpha) if alpha else 0:.4f}",
                "at z": f"{best:.3f}" if alpha else "never (z → ∞)",
                **{f"loss at z = {z:g}".replace("-", "−"): f"{loss(z, alpha):.4f}" for z in (-10.0, 0.0, 10.0)},
            }
        )
    return pd.DataFrame(rows)


def draw(table: pd.DataFrame, frames: Frames, options: Options) -> Figure:
    """Loss over logit: dotted for the plain loss, a colour for each alpha."""
    figure = style.figure(style.COLUMN, 2.6, options)
    panel = figure.subplots()
    for first, part in groups(table, ["label_smoothing"]):
        alpha = first["label_smoothing"]
        panel.plot(part["logit"], part["loss"], color=style.alpha_colour(alpha), linestyle="-" if alpha else ":")
    panel.set_xlabel("prediction z (logit of the positive class)")
    panel.set_ylabel("loss (nats)")
    panel.set_xlim(LOGITS[0], LOGITS[-1])
    panel.set_ylim(bottom=0)
    handles = [
        style.handle(f"α = {alpha:g}", color=style.alpha_colour(alpha), linestyle="-" if alpha else ":")
        for alpha in ALPHAS
    ]
    style.legend_below(figure, handles, 3)
    return figure
