"""Cards of prepared data, against counts by hand; the sizes of Shen's table 5 by the catalogue's own jobs."""

from collections import Counter
from pathlib import Path

import pytest

from lskd.io.tables import read_table
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.results import Results
from lskd.metrics.data_card import card, property_of
from lskd.study import reading
from tests import small
from tests.data import layouts

GROUP = {"model": {"name": "mlp", "width": 2}, "recipe": "one"}
STUDY = {
    "study": "cards",
    "seeds": [0],
    "data": "digits",
    "recipes": {"one": {"epochs": 1}},
    "teachers": {
        "whole": GROUP,
        "tail": GROUP | {"data": {"dataset": "digits", "name": "digits-tail", "long_tail": 20}},
        "few": GROUP | {"data": {"dataset": "digits", "name": "digits-5", "class_subset": 5, "label_noise": 0.3}},
        "birds": GROUP | {"data": {"dataset": "cub200", "image_size": 8, "val_fraction": 0.3}},
        "places": GROUP | {"data": {"dataset": "places365_lt", "image_size": 8, "stream": True}},
    },
    "figures": {"table5": {"kind": "data_card"}},
}


@pytest.fixture(scope="module")
def cards(tmp_path_factory):
    """The rows of the figure, by data set, and the jobs behind it."""
    root = tmp_path_factory.mktemp("cards")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        layouts.cub200("data/CUB_200_2011")
        layouts.places365(Path("data/places365"))
        study = reading.parse(STUDY)
        job = Catalogue({"cards": study}, Results("results")).metrics("cards", "table5", "data_card")
        folders = {}
        for role, data in job.inputs.items():
            work = small.work(data, root, {})
            work = type(work)(**vars(work) | {"place": Path(data.place)})
            folders[role] = small.run(work, "data")
        table = read_table(small.run(small.work(job, root, folders), "metrics") / "metrics.parquet")
    return {row["dataset"]: row for row in table.to_pylist()}, job


def test_a_card_reads_data_alone(cards):
    rows, job = cards
    assert {above.stage for above in job.inputs.values()} == {"data"}
    assert set(rows) == {"digits", "digits-tail", "digits-5", "cub200", "places365_lt"}
    longer = reading.parse(STUDY | {"recipes": {"one": {"epochs": 9}}})
    again = Catalogue({"cards": longer}, Results("results"))
    assert again.metrics("cards", "table5", "data_card").spec == job.spec


def test_digits(cards):
    row = cards[0]["digits"]
    assert (row["classes"], row["train"] + row["test"], row["property"], row["groups"]) == (10, 1797, "standard", 0)
    assert row["val"] == 0 and 0 < row["taken"] < row["train"]
    tail = cards[0]["digits-tail"]
    assert tail["test"] == row["test"] and tail["train"] < row["train"]
    assert tail["property"] == "long-tailed, 1:20" and tail["imbalance"] == pytest.approx(20, rel=0.15)
    assert (tail["val"], tail["taken"]) == (row["taken"], 0)  # taken before, so train is what is left
    few = cards[0]["digits-5"]
    assert (few["classes"], few["property"]) == (5, "noisy, 30% of labels; 5 of its classes")


def test_the_papers_layouts_give_their_sizes(cards):
    """Counted in the layouts' own lists."""
    birds = cards[0]["cub200"]
    assert (birds["classes"], birds["train"], birds["test"], birds["val"]) == (3, 9, 6, 0)
    assert (birds["largest"], birds["smallest"], birds["imbalance"]) == (3, 3, 1.0)
    assert (birds["groups"], birds["property"]) == (1, "fine-grained")
    places = cards[0]["places365_lt"]
    assert (places["train"], places["val"], places["taken"], places["test"]) == (4, 3, 0, 3)
    assert (places["largest"], places["smallest"], places["head"], places["rare"]) == (2, 1, 0, 3)


def test_head_and_rare_classes_by_counting(tmp_path):
    labels = [0] * 101 + [1] * 100 + [2] * 20 + [3] * 19
    tensors = {
        f"{split}_labels": small.np.array(labels if split == "train" else [0, 1, 2, 3])
        for split in small.encoded.SPLITS
    }
    folder = tmp_path / "data-0123456789"
    folder.mkdir()
    metadata = {"classes": list("abcd"), "families": ["x", "x", "y", "z"], "spec": {"dataset": "npz"}}
    small.write(folder / "data.safetensors", tensors, metadata)
    for name in ("images.arrow", "samples.parquet", "classes.csv"):
        (folder / name).touch()
    small.sealed(folder, "data")
    row = card("own", folder)
    count = Counter(labels)
    assert (row["head"], row["rare"]) == (sum(n > 100 for n in count.values()), sum(n < 20 for n in count.values()))
    assert (row["train"], row["val"], row["groups"], row["imbalance"]) == (240, 4, 1, pytest.approx(101 / 19))


def test_properties_in_words():
    spec = {"dataset": "imagenet", "pareto": [6.0, 5.0, 1280.0], "class_subset": ["a", "b"], "train_images": 7}
    assert property_of(spec) == "long-tailed, Pareto 6, 5 to 1280; at most 7 a class; 2 of its classes"
