"""What data sets are: classes, sizes and how even they are (Shen 2021, table 5), counted in the prepared data."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from lskd.data.classes import read_card
from lskd.io.seal import checked
from lskd.io.tables import write_table
from lskd.jobs.work import Work

MANY, FEW = 100, 20  # images of a class: above the first it is of the head, below the second rare (Liu 2019, section 4)
THINNED = ("train_images", "long_tail", "pareto")  # keys by which train loses images after val was taken
PROPERTIES = {  # of published sets, as Shen 2021, table 5, calls them
    "cub200": "fine-grained",
    "imaterialist2019": "noisy",
    "inat2019": "fine-grained, long-tailed",
    "imagenet_lt": "long-tailed",
    "places365_lt": "long-tailed",
}


def run(work: Work) -> None:
    """Count the data sets of a job's spec, a row each in its order."""
    rows = [card(name, work.inputs[f"data {name}"]) for name in work.spec["data"]]
    origin = {key: value for key, value in work.origin.items() if key != "spec"} | {"family": work.spec["family"]}
    write_table(work.folder / "metrics.parquet", pa.Table.from_pylist(rows), origin)


def card(name: str, folder: Path) -> dict[str, Any]:
    """The row of the data set that was prepared into a folder.

    classes, groups (of two or more similar classes), property, train and test (images), val (images beside train),
    taken (of train, and counted in it, as val), largest and smallest (images of a class in train), imbalance (the
    quotient of the two), head (classes above 100 images) and rare (below 20). Where train was thinned after val was
    taken, as by a long tail, train is what is left of it, and val stands beside it.
    """
    labels, metadata = read_card(checked(folder / "data.safetensors", folder))
    spec, classes, families = metadata["spec"], len(metadata["classes"]), metadata.get("families", [])
    counts = {split: np.bincount(labels[split], minlength=classes) for split in ("train", "val", "test")}
    is_taken = "val_fraction" in spec and not any(spec.get(name) for name in THINNED)
    each = counts["train"] + counts["val"] * is_taken
    return {
        "dataset": name,
        "classes": classes,
        "groups": sum(families.count(family) > 1 for family in set(families)),
        "property": property_of(spec),
        "train": int(each.sum()),
        "val": 0 if is_taken else int(counts["val"].sum()),
        "taken": int(counts["val"].sum()) if is_taken else 0,
        "test": int(counts["test"].sum()),
        "largest": int(each.max()),
        "smallest": int(each.min()),
        "imbalance": float(each.max() / max(int(each.min()), 1)),
        "head": int((each > MANY).sum()),
        "rare": int((each < FEW).sum()),
    }


def property_of(spec: dict[str, Any]) -> str:
    """What sets a data set apart, in words: what is stated of it, and what was made of it."""
    words = [PROPERTIES.get(spec["dataset"], "")]
    if spec.get("long_tail"):
        words.append(f"long-tailed, 1:{spec['long_tail']:g}")
    if spec.get("pareto"):
        power, least, most = spec["pareto"]
        words.append(f"long-tailed, Pareto {power:g}, {least:g} to {most:g}")
    if spec.get("label_noise"):
        words.append(f"noisy, {spec['label_noise']:.0%} of labels")
    if spec.get("train_images"):
        words.append(f"at most {spec['train_images']} a class")
    subset = spec.get("class_subset")
    if subset:
        words.append(f"{subset if isinstance(subset, int) else len(subset)} of its classes")
    return "; ".join(filter(None, words)) or "standard"
