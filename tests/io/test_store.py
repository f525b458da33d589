"""The store against pyarrow's and pandas' own readers, and against every byte that can go wrong."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import softmax

from lskd.errors import UserError, mend
from lskd.io import store
from lskd.io.store import open_features, open_logits, quantisation_error, write_features, write_logits

ROOT = Path(__file__).parents[2]
DTYPES = ("float32", "float16")
METADATA = {"spec": '{"alpha":0.1}', "code": "c0de", "title": "été\tlskd.seal\x18 " + "0" * 32}


def noise(rows, width, dtype="float32", seed=0):
    """Any bit patterns: NaN payloads, infinities, denormals."""
    bits = {"float32": np.uint32, "float16": np.uint16}[dtype]
    draw = np.random.default_rng(seed)
    return draw.integers(0, np.iinfo(bits).max, (rows, width), bits, endpoint=True).view(dtype)


def written(path, draws=(0,), rows=7, width=3, dtype="float32"):
    built = [(v, np.arange(rows)[::-1] + v, np.arange(rows) % width, noise(rows, width, dtype, v)) for v in draws]
    write_logits(path, built, width, dtype, METADATA)
    return built


def same_bits(actual, expected):
    return actual.dtype == expected.dtype and actual.shape == expected.shape and actual.tobytes() == expected.tobytes()


def read_all(path):
    file = open_logits(path)
    return [file.read_draw(draw) for draw in file.draws]


def put(path, content):
    path.unlink(missing_ok=True)  # a new file: some disks flush one that is written over
    path.write_bytes(content)


def refused(read, path):
    """The one line that `read` refuses `path` with."""
    with pytest.raises(UserError) as caught:
        read(path)
    line = str(caught.value)
    assert str(path) in line and "\n" not in line and line.endswith(mend(path))
    return line


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("rows", "width"), [(1, 1), (7, 3), (1000, 10), (3000, 100)])
def test_a_draw_comes_back_to_the_bit(tmp_path, dtype, rows, width, monkeypatch):
    monkeypatch.delattr(store._Table, "_decode")  # all through the fast path
    built = written(tmp_path / "l.parquet", (5, 0, 2), rows, width, dtype)
    file = open_logits(tmp_path / "l.parquet")
    assert (file.draws, file.num_samples, file.num_classes, file.dtype) == ((5, 0, 2), rows, width, np.dtype(dtype))
    assert file.metadata == METADATA
    for draw, samples_n, labels_n, logits_nk in built:
        actual = file.read_draw(draw)
        assert actual[0].dtype == actual[1].dtype == np.int32
        assert (actual[0] == samples_n).all() and (actual[1] == labels_n).all()
        assert same_bits(actual[2], logits_nk) and actual[2].flags.c_contiguous and actual[2].flags.aligned
        assert torch.from_numpy(actual[2]).shape == (rows, width)


@pytest.mark.parametrize("dtype", DTYPES)
def test_plain_pyarrow_and_pandas_read_the_same(tmp_path, dtype):
    path = tmp_path / "l.parquet"
    built = written(path, (0, 1), 50, 4, dtype)
    table = pq.read_table(path)
    assert table.schema.types == [pa.int32(), pa.int16(), pa.int32(), table.schema.field("logits").type]
    assert table.schema.field("logits").type.list_size == 4
    logits = table.column("logits").combine_chunks().flatten().to_numpy(zero_copy_only=False).reshape(100, 4)
    assert same_bits(logits, np.concatenate([logits_nk for *_, logits_nk in built]))
    frame = pd.read_parquet(path)
    assert same_bits(np.stack(frame["logits"].to_list()), logits)
    assert frame["draw"].tolist() == [0] * 50 + [1] * 50
    assert frame["sample"].tolist() == [n for _, samples_n, *_ in built for n in samples_n]
    assert json.loads(pq.read_metadata(path).metadata[b"lskd"]) == METADATA
    assert pq.read_table(path, filters=[("draw", "=", 1)]).num_rows == 50


@settings(max_examples=40, deadline=None)
@given(st.data(), st.sampled_from(DTYPES), st.integers(1, 40), st.integers(1, 12), st.integers(1, 200))
def test_any_logits_in_any_row_groups(tmp_path_factory, data, dtype, rows, width, group_bytes):
    path = tmp_path_factory.mktemp("any") / "l.parquet"
    bits = {"float32": np.uint32, "float16": np.uint16}[dtype]
    logits_nk = data.draw(arrays(bits, (rows, width))).view(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store, "GROUP_BYTES", group_bytes)  # a draw too large for one page
        write_logits(path, [(3, np.arange(rows), np.zeros(rows), logits_nk)], width, dtype, {})
    assert pq.read_metadata(path).num_row_groups == -(-rows // max(1, group_bytes // logits_nk[0].nbytes))
    samples_n, _, found_nk = open_logits(path).read_draw(3)
    assert same_bits(found_nk, logits_nk) and (samples_n == np.arange(rows)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    "pages",
    [
        {"data_page_size": 64, "max_rows_per_page": 16, "write_batch_size": 16},
        {"data_page_version": "2.0"},
        {"use_dictionary": True},
        {"compression": "ZSTD"},
        {"use_dictionary": False, "column_encoding": "BYTE_STREAM_SPLIT"},
    ],
)
def test_other_pages_are_decoded_by_pyarrow(tmp_path, dtype, pages, monkeypatch):
    called, decode = [], store._Table._decode
    monkeypatch.setattr(store._Table, "_decode", lambda *given: (called.append(1), decode(*given)))
    if "column_encoding" in pages:
        pages = pages | {"column_encoding": {"logits.list.element": pages["column_encoding"]}}
    monkeypatch.setattr(store, "PAGES", store.PAGES | pages)
    for draw, samples_n, labels_n, logits_nk in written(tmp_path / "l.parquet", (0, 1), 200, 6, dtype):
        actual = open_logits(tmp_path / "l.parquet").read_draw(draw)
        assert (actual[0] == samples_n).all() and (actual[1] == labels_n).all() and same_bits(actual[2], logits_nk)
    assert len(called) == 2


def test_one_changed_byte_anywhere_is_found(tmp_path):
    path, hurt = tmp_path / "l.parquet", tmp_path / "hurt.parquet"
    written(path, (0, 1), 5, 3)
    whole = path.read_bytes()
    for place in range(len(whole)):
        for flip in (1, 128):
            put(hurt, whole[:place] + bytes([whole[place] ^ flip]) + whole[place + 1 :])
            refused(read_all, hurt)


def test_a_changed_byte_is_found_in_the_view_that_holds_it(tmp_path):
    path = tmp_path / "l.parquet"
    built = written(path, (0, 1), 500, 10)
    middle = open_logits(path).groups[1].start + 9000
    with path.open("r+b") as file:
        file.seek(middle)
        byte = file.read(1)[0]
        file.seek(middle)
        file.write(bytes([byte ^ 4]))
    file = open_logits(path)
    assert same_bits(file.read_draw(0)[2], built[0][3])
    assert "have changed since they were written" in refused(lambda _: file.read_draw(1), path)


def test_every_truncation_insertion_and_swap_is_found(tmp_path):
    path, hurt = tmp_path / "l.parquet", tmp_path / "hurt.parquet"
    written(path, (0, 1), 5, 3)
    whole = path.read_bytes()
    first, second = open_logits(path).groups
    for length in range(len(whole)):
        put(hurt, whole[:length])
        refused(read_all, hurt)
        put(hurt, whole[:length] + b"\0" + whole[length:])
        refused(read_all, hurt)
    swapped = whole[second.start : second.end] + whole[first.start : first.end]
    put(hurt, whole[: first.start] + swapped + whole[second.end :])
    refused(read_all, hurt)
    put(hurt, whole + whole)
    refused(read_all, hurt)


@pytest.mark.parametrize("read", [open_logits, open_features])
def test_what_is_no_store_gets_one_line(tmp_path, read):
    assert "No such file" in refused(read, tmp_path / "missing.parquet")
    assert "directory" in refused(read, tmp_path)
    for content in (b"", b"logits " * 99, b"PAR1" * 5, b"PAR1\xff\0\0\0PAR1", b"PAR1\0\0\0\0PAR1"):
        put(tmp_path / "other", content)
        refused(read, tmp_path / "other")
    pd.DataFrame({"sample": [0, 1], "label": [0, 1]}).to_parquet(tmp_path / "other.parquet")
    assert "no lskd seal" in refused(read, tmp_path / "other.parquet")


def test_the_wrong_kind_or_view_is_told(tmp_path):
    written(tmp_path / "l.parquet", (1, 2))
    write_features(tmp_path / "f.parquet", [(np.arange(2), np.arange(2), noise(2, 4))], 4, "float32", {})
    assert "its columns are sample, draw, label, logits" in refused(open_features, tmp_path / "l.parquet")
    assert "not sample, draw, label, logits" in refused(open_logits, tmp_path / "f.parquet")
    assert "no draw 0, it holds 1, 2" in refused(lambda path: open_logits(path).read_draw(0), tmp_path / "l.parquet")


def test_a_file_replaced_after_opening_is_found(tmp_path):
    path = tmp_path / "l.parquet"
    written(path)
    file = open_logits(path)
    path.write_bytes(b"")
    refused(lambda _: file.read_draw(0), path)
    path.unlink()
    refused(lambda _: file.read_draw(0), path)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [[], [3], [8192], [20000, 1, 8192]])
def test_features_come_back_in_batches(tmp_path, dtype, sizes):
    path, built, first = tmp_path / "f.parquet", [], 0
    for size in sizes:
        built.append((np.arange(first, first + size), np.arange(size) % 7, noise(size, 5, dtype, size)))
        first += size
    write_features(path, iter(built), 5, dtype, METADATA)
    file = open_features(path)
    assert (file.num_samples, file.width, file.dtype, file.metadata) == (sum(sizes), 5, np.dtype(dtype), METADATA)
    samples_n, labels_n, features_nh = file.read()
    assert same_bits(features_nh, np.concatenate([np.empty((0, 5), dtype), *(batch[2] for batch in built)]))
    assert samples_n.tolist() == list(range(sum(sizes)))
    batches = list(file.batches())
    assert all(len(batch[0]) <= 8192 for batch in batches)
    assert [n for _, labels_b, _ in batches for n in labels_b] == labels_n.tolist() == [n for b in built for n in b[1]]
    assert b"".join(batch[2].tobytes() for batch in batches) == features_nh.tobytes()


def test_one_changed_byte_of_features_is_found(tmp_path):
    path = tmp_path / "f.parquet"
    write_features(path, [(np.arange(6), np.arange(6), noise(6, 2, "float16"))] * 2, 2, "float16", {})
    whole = path.read_bytes()
    for place in range(len(whole)):
        put(path, whole[:place] + bytes([whole[place] ^ 32]) + whole[place + 1 :])
        refused(lambda path: open_features(path).read(), path)
        refused(lambda path: list(open_features(path).batches()), path)


def test_empty_splits_and_empty_files(tmp_path):
    write_logits(tmp_path / "l.parquet", [(0, np.empty(0), np.empty(0), np.empty((0, 4)))], 4, "float32", {})
    file = open_logits(tmp_path / "l.parquet")
    assert (file.draws, file.num_samples, file.read_draw(0)[2].shape) == ((0,), 0, (0, 4))
    write_logits(tmp_path / "none.parquet", [], 4, "float32", {})
    assert open_logits(tmp_path / "none.parquet").draws == ()
    assert "it holds no draw" in refused(lambda path: open_logits(path).read_draw(0), tmp_path / "none.parquet")


def test_draws_are_streamed_and_writing_is_atomic(tmp_path):
    path, alive = tmp_path / "l.parquet", []

    def draws(stop):
        for draw in range(4):
            if draw == stop:
                raise UserError("no more pictures; run again")
            alive.append((tmp_path / "l.parquet").exists())
            yield draw, np.arange(9), np.zeros(9), noise(9, 3, seed=draw)

    with pytest.raises(UserError, match="no more pictures"):
        write_logits(path, draws(2), 3, "float32", {})
    assert list(tmp_path.iterdir()) == [] and alive == [False, False]
    write_logits(path, draws(None), 3, "float32", {})
    before = path.read_bytes()
    with pytest.raises(UserError, match="no more pictures"):
        write_logits(path, draws(1), 3, "float32", {})
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]
    write_logits(path, draws(None), 3, "float32", {})
    assert path.read_bytes() == before  # nothing of the clock in it


@pytest.mark.parametrize("where", [0, 5000])
def test_a_full_disk_ends_in_one_line(tmp_path, where):
    code = (
        "import resource, signal, sys, numpy as np\n"
        "from lskd.errors import UserError\nfrom lskd.io.store import write_logits\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({where}, {where}))\n"
        "try: write_logits(sys.argv[1], [(0, np.arange(900), np.zeros(900), np.zeros((900, 9)))], 9, 'float32', {})\n"
        "except UserError as error: sys.exit(f'error: {error}')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "l.parquet")], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 1 and "cannot be written" in done.stderr and len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_float16_is_refused_beyond_its_range_alone(tmp_path):
    path = tmp_path / "l.parquet"
    rows = np.arange(2), np.arange(2)
    with pytest.raises(UserError, match=r"l\.parquet: a value of size 70000 is beyond float16 .*float32"):
        write_logits(path, [(0, *rows, np.array([[1.0, -7e4], [np.inf, 2]]))], 2, "float16", {})
    write_logits(path, [(0, *rows, np.array([[np.nan, -np.inf], [65504, 0.1]]))], 2, "float16", {})
    actual = open_logits(path).read_draw(0)[2]
    assert np.isnan(actual[0, 0]) and actual[0, 1] == -np.inf and actual[1, 1] == np.float16(0.1)


def test_rows_that_do_not_fit_are_a_mistake_in_the_code(tmp_path):
    one = (np.arange(2), np.arange(2), noise(2, 3))
    for draws in ([(0, *one), (0, *one)], [(0, *one), (1, np.arange(1), np.arange(1), noise(1, 3))]):
        with pytest.raises(ValueError, match="comes twice"):
            write_logits(tmp_path / "l.parquet", draws, 3, "float32", {})
    for width, rows in ((4, one), (3, (np.arange(3), *one[1:])), (3, (one[0], np.arange(3), one[2]))):
        with pytest.raises(ValueError, match="with vectors"):
            write_features(tmp_path / "f.parquet", [rows], width, "float32", {})
    assert list(tmp_path.iterdir()) == []


@settings(max_examples=60, deadline=None)
@given(
    arrays(np.float32, st.tuples(st.integers(1, 9), st.integers(2, 9)), elements=st.floats(-100, 100, width=32)),
    st.lists(st.sampled_from([0.5, 1.0, 3.0, 64.0]), max_size=3),
)
def test_quantisation_error_against_scipy_and_its_bound(logits_nk, temperatures):
    actual = quantisation_error(logits_nk, "float16", temperatures)
    stored_nk, exact_nk = logits_nk.astype(np.float16).astype(np.float64), logits_nk.astype(np.float64)
    assert actual["logit"] == np.abs(stored_nk - exact_nk).max() <= 2**-11 * 128
    assert set(actual["total_variation"]) == set(temperatures)
    for t, distance in actual["total_variation"].items():
        apart = 0.5 * np.abs(softmax(stored_nk / t, axis=1) - softmax(exact_nk / t, axis=1)).sum(axis=1).max()
        assert distance == pytest.approx(apart, abs=1e-15)
        assert distance <= actual["logit"] / (2 * t) + 1e-15
    assert quantisation_error(logits_nk, "float32", [1.0]) == {"logit": 0.0, "total_variation": {1.0: 0.0}}


def test_it_needs_no_torch():
    code = (
        "import sys; sys.modules['torch'] = None; import lskd.io.store; print([m for m in sys.modules if 'torch' in m])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == "['torch']", done.stderr
