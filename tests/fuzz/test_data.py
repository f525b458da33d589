"""The readers of a user's own data and networks on hostile files."""

import io
import json
import os
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from numpy.lib import format as npy
from PIL import Image

from lskd.data import encoded, hf_dataset, image_folders, imagefolder, npz
from lskd.data.decode import decode
from lskd.data.kinds import kind_of
from lskd.data.layouts import check, given_splits
from tests.fuzz.hostile import VALUES, content_of, fuzzed, mutations, refused, trees, written

DRAW = np.random.default_rng(0)
IMAGES = DRAW.integers(0, 256, (12, 4, 4, 3), dtype=np.uint8)
LABELS = np.arange(12) % 2


def an_npz(save: Any = np.savez, **arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    save(content, **arrays)
    return content.getvalue()


def npz_of(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """An .npz file of any members."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return content.getvalue()


def npy_of(header: str, content: bytes = b"", version: tuple[int, int] = (1, 0)) -> bytes:
    """An array whose header says anything."""
    text = header.encode("utf-8", "surrogatepass")
    return npy.magic(*version) + struct.pack("<H" if version == (1, 0) else "<I", len(text) & 0xFFFF) + text + content


GOOD = npy_of("{'descr': '|u1', 'fortran_order': False, 'shape': (12, 4, 4)}\n", bytes(192))
NPZ = [
    an_npz(x_train=IMAGES, y_train=LABELS, x_test=IMAGES, y_test=LABELS),
    an_npz(np.savez_compressed, images=IMAGES, labels=LABELS, classes=np.array(["a", "b"])),
]
HEADERS = [
    f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({text}, 4, 4)}}"
    for text in (10**12, -1, 10**400, "True", "0.5", "None", "'a'", "()", "12, 12, 12")
] + [
    "{'descr': '|O', 'fortran_order': False, 'shape': (12,)}",
    "{'descr': [('a', '|u1'), ('b', [('c', '|O')])], 'fortran_order': False, 'shape': (12,)}",
    "{'descr': ('|u1', (10**9,)), 'fortran_order': False, 'shape': (12,)}",
    "{'descr': ('|u1', (99999, 99999)), 'fortran_order': False, 'shape': (12,)}",
    f"{{'descr': '|V0', 'fortran_order': False, 'shape': ({10**12},)}}",
    "{'descr': '|S0', 'fortran_order': False, 'shape': (12,)}",
    "{'descr': 'datetime64[9999999999999999s]', 'fortran_order': False, 'shape': (12,)}",
    f"{{'descr': '{'i' * 9_000}', 'fortran_order': False, 'shape': (12,)}}",
    "{'descr': " + "(" * 500 + "), 'fortran_order': False, 'shape': (12,)}",
    "{'descr': " + "-" * 9_000 + "1, 'fortran_order': False, 'shape': (12,)}",
    "{'descr': '|u1', 'fortran_order': __import__('os').getcwd(), 'shape': (12,)}",
    "{**{}}",
    "{}",
    "\0",
    "[" * 900,
    "'\\ud800'",
    "{b'descr': 1}",
]


@fuzzed
@given(content=mutations(NPZ))
def test_an_npz_with_changed_bytes(guarded, content):
    path = written(guarded / "own.npz", content)
    refused(lambda: (given_splits("npz", path), npz.load(path, workers=1, test_fraction=0.3)), guarded)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0), (9, 9)])
@pytest.mark.parametrize("header", HEADERS, ids=range(len(HEADERS)))
def test_an_npz_whose_header_lies(guarded, header, version):
    member = npy_of(header, bytes(24), version)
    for members in ({"images": member, "labels": GOOD}, {"images": GOOD, "labels": member, "classes": member}):
        path = written(guarded / "own.npz", npz_of({f"{name}.npy": each for name, each in members.items()}))
        assert refused(lambda path=path: npz.load(path, workers=1, test_fraction=0.3), guarded) is not None


@fuzzed
@given(
    header=st.text(max_size=60) | mutations([HEADERS[0].encode()]).map(lambda text: text.decode("latin-1")),
    names=st.lists(
        st.sampled_from(["images", "labels", "classes", "../x", "/x", "x\0y", "images.npy"]) | st.text(max_size=5)
    ),
    method=st.sampled_from([zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]),
)
def test_an_npz_of_any_members(guarded, header, names, method):
    members = {"images.npy": npy_of(header, bytes(24)), "labels.npy": GOOD}
    for name in names:
        members[f"{name}.npy".replace("\0", "").encode("utf-8", "replace").decode()] = GOOD
    path = written(guarded / "own.npz", npz_of(members, method))
    refused(lambda: npz.load(path, workers=1, test_fraction=0.3), guarded)


def test_an_npz_bomb(guarded):
    header = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({2**40}, 1, 1)}}"
    path = written(guarded / "own.npz", npz_of({"images.npy": npy_of(header, bytes(1 << 24)), "labels.npy": GOOD}, 8))
    assert "damaged" in str(refused(lambda: npz.load(path, workers=1, test_fraction=0.3), guarded))


def an_image(form: str, mode: str = "RGB", **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(IMAGES[0]).resize((9, 7)).convert(mode).save(content, form, **options)
    return content.getvalue()


def png_chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png_of(width: int, height: int, content: bytes) -> bytes:
    """A PNG whose header says any size."""
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [png_chunk(b"IHDR", header), png_chunk(b"IDAT", content), png_chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


PICTURES = [an_image(form) for form in ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")]
PICTURES += [an_image("PNG", "P"), an_image("PNG", "RGBA"), an_image("TIFF", compression="tiff_lzw")]
POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(canary) (w) file closefile\nshowpage\n"


@fuzzed
@example(png_of(100_000, 100_000, zlib.compress(bytes(1 << 20))))
@example(png_of(2**31 - 1, 1, b""))
@example(png_of(0, 0, b""))
@example(png_of(13_000, 13_000, zlib.compress(bytes(13_001 * 13_000))))
@example(POSTSCRIPT)
@given(content=mutations(PICTURES))
def test_an_image(guarded, content):
    refused(lambda: decode(content, 8, "cat/1.png"), guarded)


def test_no_image_starts_another_program(guarded, monkeypatch):
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *given, **options: pytest.fail("a program was started"))
    monkeypatch.setattr("PIL.EpsImagePlugin.gs_binary", "gs", raising=False)
    assert refused(lambda: decode(POSTSCRIPT, 8, "cat/1.png"), guarded) is not None


FEATURES = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": ["a", "b"]}}
HF_SCHEMA = pa.schema(
    [("image", pa.struct([("bytes", pa.binary()), ("path", pa.string())])), ("label", pa.int64())],
    {"huggingface": json.dumps({"info": {"features": FEATURES}})},
)
HF_ROWS = pa.table(
    {"image": [{"bytes": PICTURES[0], "path": f"{n}.png"} for n in range(6)], "label": [0, 1] * 3}, schema=HF_SCHEMA
)


def hf_parquet(table: pa.Table) -> bytes:
    content = io.BytesIO()
    pq.write_table(table, content)
    return content.getvalue()


def hf_arrow(table: pa.Table) -> bytes:
    content = io.BytesIO()
    with pa.ipc.new_stream(content, table.schema) as sink:
        sink.write_table(table)
    return content.getvalue()


def read_hf(root: Path) -> None:
    arrays = hf_dataset.load(root, workers=1, image_size=8, test_fraction=0.3)
    list(arrays.train.images.blocks(arrays.train.names, 1))


@fuzzed
@given(content=mutations([hf_parquet(HF_ROWS)]))
def test_a_hugging_face_parquet(guarded, content):
    root = written(guarded / "parquet" / "train.parquet", content).parent
    refused(lambda: read_hf(root), guarded)


@fuzzed
@given(content=mutations([hf_arrow(HF_ROWS)]))
def test_a_hugging_face_arrow(guarded, content):
    root = guarded / "arrow"
    written(root / "state.json", json.dumps({"_data_files": [{"filename": "data.arrow"}]}).encode())
    written(root / "data.arrow", content)
    refused(lambda: read_hf(root), guarded)


STATE = {"_data_files": [{"filename": "data.arrow"}], "_indices_data_files": None}


@fuzzed
@given(
    state=trees([STATE]).map(lambda value: json.dumps(value).encode()) | mutations([json.dumps(STATE).encode()]),
    splits=trees([{"splits": ["train", "test"]}]).map(lambda value: json.dumps(value).encode()),
)
def test_what_a_saved_data_set_says_of_itself(guarded, state, splits):
    root = guarded / "saved"
    written(root / "dataset_dict.json", splits)
    for split in ("train", "test"):
        written(root / split / "state.json", state)
        written(root / split / "data.arrow", hf_arrow(HF_ROWS))
    refused(lambda: (kind_of(root), given_splits("hf_dataset", root), read_hf(root)), guarded)


def write_arrow(path: Path) -> None:
    with encoded.writer(path) as rows:
        for split in encoded.SPLITS:
            rows.add(split, 0, PICTURES[:2], ["a", "b"])


@fuzzed
@given(content=mutations([content_of(write_arrow)]))
def test_encoded_images(guarded, content):
    path = written(guarded / encoded.FILE, content)

    def read() -> None:
        images = encoded.EncodedImages(path)
        for split in encoded.SPLITS:
            for content in images.read(split, range(images.samples(split))):
                decode(content, 8, split)

    refused(read, guarded)


NAMES = [
    "train",
    "val",
    "test",
    "a",
    "b",
    "é☃",
    "-n",
    "..a",
    "a b",
    "'",
    '"',
    "$(id)",
    "{x}",
    "%s",
    "\n",
    "\x1b[2J",
    "x" * 200,
]


@fuzzed
@given(
    classes=st.lists(
        st.sampled_from(NAMES) | st.text("ab\u202e\\\t*?", min_size=1, max_size=9), max_size=3, unique=True
    ),
    below=st.sampled_from(["1.png", "c/1.png", "c/d/1.jpg", "-rf.png", "\n.png", "x.txt"]),
    kind=st.sampled_from(["imagefolder", "npz", "hf_dataset"]),
    link=st.sampled_from([None, "/", "..", ".", "nosuch", "/etc/passwd"]),
)
def test_folders_of_any_names(tmp_path_factory, classes, below, kind, link):
    root = tmp_path_factory.mktemp("folders") / "root"
    for name in classes:
        written(root / name.replace("/", "") / below, PICTURES[0])
        if link:
            (root / name.replace("/", "") / "link.png").symlink_to(link)

    def read() -> None:
        check(kind, root)
        kind_of(root)
        if kind == "imagefolder":
            arrays = imagefolder.load(root, workers=1, image_size=8, test_fraction=0.3)
            list(arrays.train.images.blocks(arrays.train.names, 1))

    refused(read, root.parent)


@pytest.mark.parametrize("value", [value for value in VALUES if isinstance(value, str) and "\0" not in value])
def test_roots_of_any_name(guarded, monkeypatch, value):
    monkeypatch.chdir(guarded)
    try:
        os.fsencode(value)
    except UnicodeEncodeError:
        return
    kind_of(Path(value))
    refused(lambda: image_folders.check(Path(value)), guarded)
