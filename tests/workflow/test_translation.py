"""A study of translation run to its end, a representative of each mechanism; and a killed training resumed."""

import os
import signal
import time

import pytest

from lskd.io.seal import read_record
from lskd.io.tensors import load_tensors
from tests.workflow.conftest import Tree, leftovers

pytest.importorskip("fairseq")
pytest.importorskip("sacrebleu")
pytest.importorskip("sentencepiece")

STUDENT = {"teacher": "t", "model": "transformer_small", "recipe": "r", "temperature": [1]}
TRANSLATION = {
    "study": "tiny",
    "seeds": [0],
    "data": {
        "dataset": "help_extract",
        "source": "en",
        "target": "de",
        "pieces": 500,
        "val_fraction": 0.02,
        "test_fraction": 0.02,
    },
    "recipes": {
        "r": {
            "task": "translation",
            "updates": 8,
            "tokens": 600,
            "lr": 3e-3,
            "warmup_updates": 4,
            "validate_updates": 4,
            "snapshot_updates": [4, 8],
        }
    },
    "teachers": {"t": {"model": "transformer_small", "recipe": "r", "label_smoothing": [0.1], "smoothing": "others"}},
    "students": {
        "whole": STUDENT,
        "online": STUDENT | {"draws": "online"},
        "cut": STUDENT
        | {"supervision": "kd_top_k", "k": [4], "tail": [False], "soft_weight": [0.9], "hard_smoothing": 0.1},
        "drawn": STUDENT | {"supervision": "kd_sample", "sampled": [16]},
    },
    "figures": {
        "bleu": {"kind": "grid"},
        "calibration": {"kind": "token_calibration_table", "groups": ["t"]},
        "curves": {"kind": "bleu_curves", "groups": ["t"]},
        "decoding": {"kind": "decoding", "groups": ["t"], "decoding": [1, 1.5]},
        "reliability": {"kind": "token_reliability", "groups": ["t"]},
        "truncation": {"kind": "truncation", "groups": ["whole", "cut", "drawn"]},
    },
    "runtime": {"device": "cpu"},
}


@pytest.fixture(scope="module")
def translated(tmp_path_factory):
    tree = Tree(tmp_path_factory.mktemp("translated"))
    tree.configure(TRANSLATION)
    tree.run()
    yield tree
    tree.close()


def test_it_comes_to_its_end(translated):
    assert translated.pending() == set()
    assert leftovers(translated) == []
    for name in TRANSLATION["figures"]:
        (page,) = translated.results(f"figures/demo/tiny/{name}.md")
        assert "n" in page.read_text()
    (page,) = translated.results("figures/demo/tiny/index.html")
    assert "BLEU" in page.read_text()


def test_records_name_the_versions_of_what_computed(translated):
    packages = {"corpora": "sentencepiece", "runs": "fairseq", "translations": "fairseq", "metrics": "sacrebleu"}
    for room, package in packages.items():
        records = [read_record(path.parent) for path in translated.results(f"{room}/**/record.json")]
        assert any(package in record["versions"] for record in records), room


def test_stored_and_online_teachers_give_the_same_student(translated):
    runs = {name: translated.results(f"runs/*/*/*/*{name}*/*/model.safetensors") for name in ("kd-T1-from", "online")}
    (stored,), (online,) = runs.values()
    first, second = load_tensors(stored), load_tensors(online)
    assert first.keys() == second.keys()
    assert all(first[name].equal(second[name]) for name in first)


def test_a_new_t_retrains_nobody(translated):
    more = {name: values | {"temperature": [1, 2]} for name, values in TRANSLATION["students"].items()}
    translated.configure(TRANSLATION | {"students": more})
    try:
        pending = translated.pending()
        assert sum(job.startswith("train") for job in pending) == 4
        assert not any(job.startswith("teacher_logits") for job in pending)
    finally:
        translated.configure(TRANSLATION)


def test_a_killed_training_ends_with_the_same_tensors(translated, tmp_path):
    tree = Tree(tmp_path)
    tree.configure(TRANSLATION | {"students": {}, "figures": {"curves": TRANSLATION["figures"]["curves"]}})
    process = tree.start()
    while not list((tree.folder / "results").glob("runs/**/checkpoint.pt")):
        assert process.poll() is None
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    output = tree.run()
    (whole,), (resumed,) = (each.results("runs/*/*/r/ls0.1*/seed0-*/record.json") for each in (translated, tree))
    assert read_record(whole.parent)["files"] == read_record(resumed.parent)["files"], output
