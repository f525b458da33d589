"""What identifies a data set's content, for the address of its job. No torch and no NumPy, for planning imports it.

A folder of images is identified by each image's path and bytes, a published set by its published digests, any other
by the path and bytes of every file at its root. Digests of files are cached by (inode, ctime, mtime, size): `mv`,
`cp -p`, `tar x` and `rsync -a` keep mtime and size, but no program can set a ctime.
"""

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import xxhash

from lskd.data.digits_file import digits_file
from lskd.data.image_folders import image_folders, scan, unreadable, walk
from lskd.data.layouts import check, parts
from lskd.errors import UserError
from lskd.io.atomic import atomic

# MNIST and Fashion-MNIST: SHA-256 of the unpacked files, as the same data are packed in several ways. MNIST's are those
# that independent projects check after unpacking the .gz of storage.googleapis.com/cvdf-datasets/mnist. Fashion-MNIST's
# were computed from Debian's dataset-fashion-mnist, whose .gz are packed anew (their MD5s are not torchvision's), and
# equal those that others computed from the .gz with the publisher's MD5s. CIFAR: torchvision's MD5s of the members.
PUBLISHED = {
    "mnist": {
        "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    },
    "fashion_mnist": {
        "train-images-idx3-ubyte": "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
        "train-labels-idx1-ubyte": "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
        "t10k-images-idx3-ubyte": "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
        "t10k-labels-idx1-ubyte": "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    },
    "cifar10": {
        "data_batch_1": "c99cafc152244af753f735de768cd75f",
        "data_batch_2": "d4bba439e000b95fd0a9bffe97cbabec",
        "data_batch_3": "54ebc095f3ab1f0389bbae665268c751",
        "data_batch_4": "634d18415352ddfa80567beed471001a",
        "data_batch_5": "482c414d41f54cd18b22e5b47cb7c3cb",
        "test_batch": "40351d587109b95175f43aff81a1287e",
        "batches.meta": "5ff9c542aee3614f3951f8cda6e48888",
    },
    "cifar100": {
        "train": "16019d7e3df5f24257cddd939b257f8d",
        "test": "f0ef6b0ae62326f3e7ffdfab6717acfc",
        "meta": "7973b15100ade9c7d40fb424638fde48",
    },
}
DIGITS = "09f66e6debdee2cd2b5ae59e0d6abbb73fc2b0e0185d2e1957e9ebb51e23aa22"  # scikit-learn's digits.csv.gz, 1.4 to 1.9

_TICK = 2_000_000_000  # nanoseconds; the coarsest clock of a file system in use
_THREADS = 4  # enough to hide a disk's latency; more only wait for Python's lock
_BLOCK = 64  # files a thread reads at a time
_CHUNK = 1 << 22  # bytes
_REPORT_SECONDS = 10.0
_FORMAT = "lskd content 1"

Listed = Iterable[tuple[str, os.DirEntry[str] | Path]]  # each file that counts: its path, and itself
Cache = dict[str, list[str]]  # path relative to the root -> [stamp, digest]


def content(dataset: str, root: str, cache: Path | None, write: bool) -> dict[str, Any]:
    """What identifies the content of a data set, and nothing else, as JSON values.

    imagefolder: {"images": count, "digest": hex} over (path relative to `root`, bytes) of each image that the loader
    reads; published sets: {"files": {name: digest}}; digits: {"digest": SHA-256}. Published digests are constants, no
    file is looked at; the loaders compare. Published sets of image files: as any other, over what they are made of
    alone. Any other: {"files": count, "digest": hex} over every file below `root`, or
    `root` itself, but hidden ones. `cache` is a folder that holds a file of digests a root, brought up to date if
    `write`; None reads every file. Raises UserError for what is no data set (as `layouts.check`) and for a file that
    cannot be read.
    """
    if dataset == "digits":
        return {"digest": DIGITS}
    if dataset in PUBLISHED:
        return {"files": dict(PUBLISHED[dataset])}
    if of_parts := parts(dataset, Path(root)):
        digests: dict[str, str] = {}
        for part in of_parts:  # each cached for itself, as two data sets may share one
            inside = _digests(part, _files(part), cache, write)
            digests |= {part.name if part.is_file() else f"{part.name}/{name}": each for name, each in inside.items()}
    else:
        check(dataset, Path(root))
        listed = _images(Path(root)) if dataset == "imagefolder" else _files(Path(root))
        digests = _digests(Path(root), listed, cache, write)
    total = xxhash.xxh3_128()
    for path in sorted(digests, key=os.fsencode):  # by bytes: the same order in every locale
        total.update(os.fsencode(path) + b"\0" + digests[path].encode())
    return {"images" if dataset == "imagefolder" else "files": len(digests), "digest": total.hexdigest()}


def content_of_files(root: Path, paths: list[Path], cache: Path | None, write: bool) -> dict[str, Any]:
    """What identifies a corpus: its files' names, below `root` where they are, and bytes, in their order.

    `cache`, `write` as in `content`.
    """
    listed = [(os.fspath(path.absolute()), path) for path in paths]
    digests = _digests(root, listed, cache, write)
    total = xxhash.xxh3_128()
    for place, path in listed:
        name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.name
        total.update(os.fsencode(name) + b"\0" + digests[place].encode())
    return {"files": len(paths), "digest": total.hexdigest()}


def check_same(content_at_planning: dict[str, Any], dataset: str, root: str, cache: Path | None = None) -> None:
    """Refuse data that are no longer what a job was planned for; called after they were read.

    Raises UserError where an image, or another file that counts, was added, removed, renamed or edited since, and where
    scikit-learn's digits are not the published ones. Every file is read again unless `cache` knows it.
    """
    if dataset == "digits":
        _check_digits()
    if content(dataset, root, cache, write=False) != content_at_planning:
        what = "images" if dataset == "imagefolder" else "files"
        raise UserError(f"{root}: the {what} changed since this job was planned; run again")


def _check_digits() -> None:
    path = digits_file()
    if path is None:
        raise UserError("digits: scikit-learn is not installed; pip install 'lskd[train]'")
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); reinstall scikit-learn") from error
    if digest != DIGITS:
        raise UserError(
            f"{path}: not the published digits (SHA-256 {digest[:12]}..., published {DIGITS[:12]}...); reinstall "
            "scikit-learn"
        )


def _digests(root: Path, listed: Listed, cache: Path | None, write: bool) -> dict[str, str]:
    """The posix path of each file that counts, relative to `root` or whole, -> the digest of its bytes."""
    settled = time.time_ns() - _TICK  # taken before any file is looked at: what changes from here on has a later ctime
    stamps = _stamps(listed, settled)
    cache_file = cache / xxhash.xxh3_128_hexdigest(os.fsencode(root.resolve())) if cache else None
    cached = _read_cache(cache_file) if cache_file else {}
    digests = {path: cached[path][1] for path, stamp in stamps.items() if stamp and cached.get(path, [""])[0] == stamp}
    folder = root.parent if root.is_file() else root
    digests |= _read_digests(folder, [path for path in stamps if path not in digests])
    entries = {path: [stamp, digests[path]] for path, stamp in stamps.items() if stamp}
    if cache_file and write and entries != cached:
        with suppress(UserError):  # a cache that cannot be written costs time alone
            _write_cache(cache_file, entries)
    return digests


def _images(root: Path) -> Listed:
    """Each image that the loader reads: its posix path relative to `root`, and itself."""
    for folder in image_folders(root):
        prefix = folder.relative_to(root).as_posix()
        for name, entry in scan(folder):
            yield f"{prefix}/{name}", entry


def _files(root: Path) -> Listed:
    """Each file below `root`, or `root` itself, but hidden ones. UserError for links to folders or to nothing."""
    if root.is_file():
        yield root.name, root
        return
    for name, entry in walk(root):
        if entry.is_dir() or not entry.is_file():
            raise UserError(
                f"{entry.path}: neither a file nor a folder of this data set (a link to a folder or to nothing?); put "
                "what it stands for there, or delete it"
            )
        yield name, entry


def _stamps(listed: Listed, settled: int) -> dict[str, str]:
    """The path of each listed file -> what changes whenever the file does.

    The stamp is "" where it proves nothing: a ctime after `settled` (nanoseconds) may be that of two changes in one
    tick of the clock, or the clock was set back since.
    """
    stamps = {}
    for path, entry in listed:
        try:
            stat = entry.stat()
        except OSError as error:
            raise unreadable(os.fspath(entry), error) from error
        stamp = f"{stat.st_ino} {stat.st_ctime_ns} {stat.st_mtime_ns} {stat.st_size}"
        stamps[path] = stamp if stat.st_ctime_ns <= settled else ""
    return stamps


def _read_digests(root: Path, paths: list[str]) -> dict[str, str]:
    """xxh3-128 of each of `paths` below `root`, as hex, read in a few threads."""

    def read_block(start: int) -> list[str]:
        return [_read_digest(os.path.join(root, path)) for path in paths[start : start + _BLOCK]]  # noqa: PTH118, as below

    digests: list[str] = []
    reported = time.monotonic()
    for block in _mapped(read_block, range(0, len(paths), _BLOCK)):
        digests += block
        if time.monotonic() - reported > _REPORT_SECONDS:
            print(f"read {len(digests):,} of {len(paths):,} new files", file=sys.stderr, flush=True)
            reported = time.monotonic()
    return dict(zip(paths, digests, strict=True))


def _mapped(function: Callable[[int], list[str]], starts: Iterable[int]) -> Iterator[list[str]]:
    """Map in a few threads and in order."""
    with ThreadPoolExecutor(_THREADS) as pool:
        try:
            blocks: Iterator[list[str]] = pool.map(function, starts)
        except RuntimeError:  # a study's page is made at the interpreter's end, when no thread starts any more
            blocks = map(function, starts)
        yield from blocks


def _read_digest(path: str) -> str:
    digest = xxhash.xxh3_128()
    try:
        with open(path, "rb", buffering=0) as file:  # noqa: PTH123, no Path and no buffer: half the time for small files
            while chunk := file.read(_CHUNK):
                digest.update(chunk)
    except OSError as error:
        raise unreadable(path, error) from error
    return digest.hexdigest()


def _read_cache(path: Path) -> Cache:
    """The entries of a cache file; none where it is missing, damaged or something else."""
    try:
        header, entries = path.read_bytes().split(b"\n", 1)
        return json.loads(entries) if header == _header(entries) else {}
    except (OSError, ValueError):
        return {}


def _write_cache(path: Path, entries: Cache) -> None:
    encoded = json.dumps(entries, separators=(",", ":")).encode()
    with atomic(path) as tmp:
        tmp.write_bytes(_header(encoded) + b"\n" + encoded)


def _header(entries: bytes) -> bytes:
    """A cache file's first line, which no flipped byte in the rest passes."""
    return json.dumps({"format": _FORMAT, "digest": xxhash.xxh3_128_hexdigest(entries)}).encode()
