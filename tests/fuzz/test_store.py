"""The readers of results on hostile files: changed bytes, and changed contents under a seal that fits.

A seal finds damage, it does not keep a stranger out, who can make one as well; so what is read under it is judged too.
"""

import json
import struct
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from lskd.errors import UserError
from lskd.io import footer, store
from lskd.io.seal import RECORD, checked, read_record, seal
from lskd.io.tables import read_table, write_table
from lskd.io.tensors import load_tensors, write_tensors
from lskd.jobs import execute, live, looks, register, results
from tests.fuzz.hostile import as_sealed, content_of, fuzzed, json_files, mutations, refused, trees, written

ADDRESS = "0123456789"
RECORD_VALUES = {
    "address": ADDRESS,
    "plain": ADDRESS,
    "stage": "predict",
    "title": "digits/mlp/one/ls0.1/seed0",
    "spec": {"a": 1, "b": [1, 2.5, None]},
    "definitions": {"lskd/io/seal.py:seal": "0" * 10},
    "files": {"values.bin": "f" * 32},
    "made": "2026-01-01T00:00:00+00:00",
}
JOB_VALUES = {
    "stage": "train",
    "title": "digits/mlp/one/ls0.1/seed0",
    "address": ADDRESS,
    "plain": ADDRESS,
    "spec": {"seed": 0},
    "functions": {"run": "lskd.training.loop:run", "model": "lskd.models.mlp:mlp"},
    "definitions": {"lskd/io/seal.py:seal": "0" * 10},
    "files": ["model.safetensors"],
    "folder": f"runs/digits/mlp/one/ls0.1/seed0-{ADDRESS}",
    "place": "",
    "inputs": {"data": "data/digits-0123456789"},
}
LOOK_VALUES = {"figure": "demo/s/v", "made": "2026", "seeds": 3, "students": 1, "planned": [3, 5], "runs": [ADDRESS]}
ADOPTED_VALUES = {"address": ADDRESS, "stands": "a" * 10, "stage": "train", "title": "t", "by": "me", "differences": []}
FIGURE_VALUES = {
    "figure": {"margin": 1},
    "seeds": [0],
    "looks": [],
    "comparisons": {"a": {"b": "c"}},
    "code": {"f": "0"},
}
REGISTERED = {"study": "s", "scale": "demo", "commit": "0" * 40, "date": "2026-01-01", "figures": {"v": FIGURE_VALUES}}
STATUS = {
    "title": "t",
    "address": ADDRESS,
    "host": "elsewhere",
    "pid": 1,
    "started": 1.0,
    "updated": 2e9,
    "step": 3,
    "steps": 9,
}


def write_store(path: Path, kind: str) -> None:
    """Write a valid file of logits or features."""
    draw = np.random.default_rng(0)
    samples, labels, vectors = np.arange(5), np.arange(5) % 3, draw.normal(size=(5, 3)).astype(np.float32)
    if kind == "logits":
        rows = [(number, samples, labels, vectors) for number in (0, 1)]
        store.write_logits(path, rows, 3, "float32", {"from": "here"})
    else:
        store.write_features(path, [(samples, labels, vectors)], 3, "float16", {"from": "here"})


def resealed(content: bytes) -> bytes:
    """A store whose seal fits its footer again, if it has one."""
    length = int.from_bytes(content[-8:-4], "little") + 8
    start = len(content) - length
    outside = content[:4] + content[max(4, start) :]
    try:
        at = footer.seal_at(outside)
    except ValueError:
        return content
    seal_at = start - 4 + at
    return content[:seal_at] + footer.sealed(outside).encode() + content[seal_at + footer.DIGITS :]


def with_index(content: bytes, index: Any) -> bytes:
    """A store whose index says something else, in as many bytes, under a seal that fits."""
    place = content.rfind(b'{"groups"') if b'{"groups"' in content else content.rfind(b'{"draws"')
    end = content.index(b"}", place) + 1
    text = json.dumps(index).encode()
    return resealed(content[:place] + text.ljust(end - place)[: end - place] + content[end:])


def read_whole_store(path: Path) -> None:
    for opened in (store.open_logits, store.open_features):
        try:
            file = opened(path)
        except UserError as error:
            failure = error
            continue
        if isinstance(file, store.LogitsFile):
            for draw in file.draws:
                file.read_draw(draw)
        else:
            list(file.batches())
        return
    raise failure


LOGITS, FEATURES = (content_of(partial(write_store, kind=kind)) for kind in ("logits", "features"))
INDEX = json.loads(LOGITS[LOGITS.rfind(b'{"draws"') : LOGITS.index(b"}", LOGITS.rfind(b'{"draws"')) + 1])
HUGE = [[0, 10**12, 4, 100, "0" * 32], [0, -1, 4, 100, "0" * 32], [0, 5, 4, 10**18, "0" * 32], [0.5, 5, 4, 9, None], []]


@fuzzed
@given(content=mutations([LOGITS, FEATURES]))
def test_a_store_with_changed_bytes(guarded, content):
    path = written(guarded / "logits.parquet", content)
    error = refused(lambda: read_whole_store(path), guarded)
    assert error is not None or content in (LOGITS, FEATURES)


@fuzzed
@given(content=mutations([LOGITS[-900:], FEATURES[-900:]]))
def test_a_store_with_a_changed_footer_under_a_seal_that_fits(guarded, content):
    for whole in (LOGITS, FEATURES):
        path = written(guarded / "logits.parquet", resealed(whole[:-900] + content))
        refused(lambda path=path: read_whole_store(path), guarded)


@fuzzed
@given(index=trees([INDEX]), groups=st.lists(st.sampled_from(HUGE), max_size=2))
def test_a_store_whose_index_lies(guarded, index, groups):
    if groups and isinstance(index, dict):
        index = index | {"groups": groups}
    path = written(guarded / "logits.parquet", with_index(LOGITS, index))
    refused(lambda: read_whole_store(path), guarded)


TABLES = [
    content_of(partial(write_table, table=pa.table(columns), origin={"from": "here"}))
    for columns in ({"a": [1, 2, 3]}, {"a": ["x", "é"], "b": [1.5, None]}, {"a": pa.array([[1.0], [2.0, 3.0]])})
]


@fuzzed
@given(content=mutations(TABLES))
def test_a_table(guarded, content):
    path = written(guarded / "metrics.parquet", content)
    refused(lambda: read_table(path).to_pylist(), guarded)


def safetensors(header: Any, content: bytes = b"") -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + content


WEIGHTS = {"a": torch.ones(2, 3), "b": torch.zeros(4, dtype=torch.float16)}
TENSORS = content_of(lambda path: write_tensors(path, WEIGHTS, {}))
HEADER = {
    "__metadata__": {"lskd": "{}"},
    "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
    "b": {"dtype": "F16", "shape": [4], "data_offsets": [24, 32]},
}


@fuzzed
@example(safetensors({"a": {"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}}))
@example(safetensors({"a": {"dtype": "F32", "shape": [10**12, 0], "data_offsets": [0, 0]}}))
@example(struct.pack("<Q", 2**63) + b"{}")
@given(content=st.one_of(mutations([TENSORS]), trees([HEADER]).map(lambda header: safetensors(header, b"\0" * 32))))
def test_weights(guarded, content):
    path = written(guarded / "model.safetensors", content)
    refused(lambda: load_tensors(path), guarded)


@fuzzed
@given(content=json_files([RECORD_VALUES]))
def test_a_record(guarded, content):
    folder = guarded / f"seed0-{ADDRESS}"
    path = written(folder / RECORD, content)
    written(folder / "values.bin", b"values")

    def read() -> None:
        record = read_record(folder)
        assert record["address"] == ADDRESS and isinstance(record["files"], dict)
        checked(folder / "values.bin", folder)

    refused(read, guarded)
    path.unlink()


@fuzzed
@given(content=mutations([b"values of a file"]))
def test_a_sealed_file(guarded, content):
    folder = guarded / f"seed0-{ADDRESS}"
    written(folder / "values.bin", b"values of a file")
    seal(folder, ["values.bin"], {"address": ADDRESS})
    written(folder / "values.bin", content)
    error = refused(lambda: checked(folder / "values.bin", folder), guarded)
    assert error is not None or content == b"values of a file"


@fuzzed
@given(content=json_files([JOB_VALUES]))
def test_a_job_file(guarded, content):
    path = written(guarded / ".jobs" / f"{ADDRESS}.json", content)

    def read() -> None:
        described = execute.read_job(path)
        assert all(entry.startswith("lskd.") for entry in described["functions"].values())
        for below in (described["folder"], *described["inputs"].values()):
            assert (guarded / below).resolve().is_relative_to(guarded)

    refused(read, guarded)


@fuzzed
@given(content=json_files([LOOK_VALUES]))
def test_a_look(guarded, content):
    path = written(guarded / "looks" / f"{ADDRESS}.json", content)

    def read() -> None:
        for look in looks.read(guarded):
            assert looks._size(look) > (-(10**999), 0)  # they can be compared
            set(look["runs"]).isdisjoint([look["seeds"] in look["planned"]])

    refused(read, guarded)
    path.unlink()


@fuzzed
@given(content=json_files([ADOPTED_VALUES]))
def test_an_adopted_record(guarded, content):
    path = written(guarded / "adopted" / f"{ADDRESS}.json", content)

    def read() -> None:
        for address, record in results.read_adopted(guarded).items():
            assert (guarded / f"seed0-{record['stands']}").parent == guarded and address == ADDRESS

    refused(read, guarded)
    path.unlink()


@fuzzed
@given(content=json_files([REGISTERED]))
def test_a_registration(guarded, content):
    path = written(guarded / "registrations" / "demo" / "s.json", content)

    def read() -> None:
        registration = register._read(path)
        registration["date"][:10]
        for before in registration["figures"].values():
            list(register._differences(before, FIGURE_VALUES))

    refused(read, guarded)


@fuzzed
@given(content=json_files([STATUS]) | trees([STATUS]).map(lambda status: json.dumps(status).encode()))
def test_a_status(guarded, content):
    path = written(guarded / "running" / f"{ADDRESS}.json", content)

    def read() -> None:
        assert live.table(live.jobs(path.parent), 80).isprintable() or True

    assert refused(read, guarded) is None  # one that is damaged is left out
    path.unlink()


def test_a_seal_can_be_made_by_anyone():
    assert json.loads(as_sealed({"a": 1}))["seal"]


def test_a_resealed_store_is_read(tmp_path):
    path = written(tmp_path / "logits.parquet", with_index(LOGITS, INDEX))
    read_whole_store(path)
    assert resealed(LOGITS) == LOGITS
