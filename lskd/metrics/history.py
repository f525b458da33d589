"""Training curves, in long form."""

from lskd.metrics.inputs import Row, RunData


def measure(runs: list[RunData], options: Row) -> list[Row]:
    """Rows (epoch, metric, value): each column of each run's history but `epoch` is a metric.

    Losses are in nats, accuracies in 0..1; train_loss is the objective that was trained on.
    """
    rows = []
    for run in runs:
        history = run.history()
        for name in history:
            if name != "epoch":
                pairs = zip(history["epoch"], history[name], strict=True)
                rows += [run.row | {"epoch": int(e), "metric": name, "value": float(v)} for e, v in pairs]
    return rows
