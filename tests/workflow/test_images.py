"""A user's own images as data: what changes their address, and that nothing else does."""

import os
import shutil
import struct
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from tests.workflow.conftest import Tree
from tests.workflow.edits import shell

STUDY = {
    "study": "own",
    "seeds": [0],
    "data": {"dataset": "imagefolder", "root": "pics", "image_size": 8},
    "recipes": {"one": {"epochs": 1}},
    "teachers": {"t": {"model": {"name": "mlp", "width": 4}, "recipe": "one", "label_smoothing": [0.0]}},
    "figures": {"table": {"kind": "accuracy_table"}},
    "runtime": {"device": "cpu"},
}
NOTHING: set[str] = set()
ALL = {"data", "train ls0/0", "predict ls0/0", "metrics table accuracy", "figure table"}


def save(path, seed):
    """A picture of noise; all of them have the same size in bytes, as PGM packs nothing."""
    pixels = np.random.default_rng(seed).integers(0, 255, (8, 8), dtype=np.uint8)
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A study of a folder of images, run to its end."""
    tree = Tree(tmp_path_factory.mktemp("own"))
    for place, name in enumerate(("cat", "dog")):
        for i in range(10):
            save(tree.folder / f"pics/{name}/{i}.pgm", 100 * place + i)
    for path in tree.folder.glob("pics/*/*"):
        os.utime(path, (1e9, 1e9))
    tree.configure(STUDY)
    tree.run()
    assert tree.pending() == tree.planned() == NOTHING
    yield tree
    tree.close()


@pytest.fixture
def tree(own):
    """It, with its images and its config put back afterwards."""
    shutil.copytree(own.folder / "pics", own.folder / "kept")
    yield own
    for name in ("pics", "moved"):
        shutil.rmtree(own.folder / name, ignore_errors=True)
    (own.folder / "kept").rename(own.folder / "pics")
    own.configure(STUDY)


CONTENT = {
    "a byte changed, at the old time": (
        "printf x | dd of=pics/cat/3.pgm bs=1 seek=20 conv=notrunc status=none; touch -d @1000000000 pics/cat/3.pgm",
        ALL,
    ),
    "two swapped by mv": ("cd pics && mv cat/1.pgm x && mv cat/2.pgm cat/1.pgm && mv x cat/2.pgm", ALL),
    "two swapped between classes": ("cd pics && mv cat/1.pgm x && mv dog/1.pgm cat/1.pgm && mv x dog/1.pgm", ALL),
    "one replaced by cp -p of another of its size and time": ("cp -p pics/cat/1.pgm pics/cat/2.pgm", ALL),
    "one replaced by tar x of another": (
        "mkdir other && cp -p pics/dog/2.pgm other/2.pgm && tar cf x.tar -C other 2.pgm && tar xf x.tar -C pics/cat"
        " && rm -r other x.tar",
        ALL,
    ),
    "one added": ("cp pics/cat/1.pgm pics/cat/extra.pgm", ALL),
    "one removed": ("rm pics/cat/9.pgm", ALL),
    "one renamed": ("mv pics/cat/9.pgm pics/cat/99.pgm", ALL),
    "one moved to another class": ("mv pics/cat/9.pgm pics/dog/99.pgm", ALL),
    "a class renamed": ("mv pics/cat pics/lynx", ALL),
    "all touched": ("touch pics/*/*", NOTHING),
    "all replaced by copies of themselves": ("cp -r pics copy && rm -r pics && mv copy pics", NOTHING),
    "all through tar": ("tar cf x.tar pics && rm -r pics && tar xf x.tar && rm x.tar", NOTHING),
    "one gone and back": ("cp -p pics/cat/1.pgm x && rm pics/cat/1.pgm && mv x pics/cat/1.pgm", NOTHING),
    "a hidden file": ("touch pics/cat/.DS_Store pics/.hidden", NOTHING),
    "a file that is no image": ("echo text > pics/cat/notes.txt", NOTHING),
    "a link to the folder": ("mv pics moved && ln -s moved pics", NOTHING),
    "the digests known so far gone": ("rm -rf results/.cache", NOTHING),
}


@pytest.mark.parametrize("row", CONTENT)
def test_content(tree, row):
    command, expected = CONTENT[row]
    shell(command)(tree.folder)
    assert tree.pending() == expected
    if (tree.folder / "pics").is_symlink():
        (tree.folder / "pics").unlink()


def test_what_keeps_size_and_time_is_seen_though_digests_are_kept(tree):
    """No program can set the time of a file's last change of any kind, by which digests are kept."""
    time.sleep(2.1)  # as a clock may tick every two seconds, what is younger is read each time
    tree.run()
    assert tree.results(".cache/content/*")
    for row in (
        "a byte changed, at the old time",
        "two swapped by mv",
        "one replaced by cp -p of another of its size and time",
    ):
        shell(CONTENT[row][0])(tree.folder)
        assert tree.pending() == ALL
        shell("cp -p kept/cat/* pics/cat/")(tree.folder)
        assert tree.pending() == NOTHING


@pytest.mark.parametrize("root", ["./pics", "pics/", "../{name}/pics", "{folder}/pics"])
def test_the_root_in_other_words(tree, root):
    root = root.format(name=tree.folder.name, folder=tree.folder)
    tree.configure(STUDY | {"data": STUDY["data"] | {"root": root}})
    assert tree.pending() == NOTHING


def test_images_that_moved(tree):
    """The folder's last name is the data's name; with it given, the folder may lie and be called as it likes."""
    (tree.folder / "moved").mkdir()
    shutil.move(tree.folder / "pics", tree.folder / "moved/pics")
    tree.configure(STUDY | {"data": STUDY["data"] | {"root": "moved/pics"}})
    assert tree.pending() == NOTHING
    (tree.folder / "moved/pics").rename(tree.folder / "moved/others")
    tree.configure(STUDY | {"data": STUDY["data"] | {"root": "moved/others", "name": "pics"}})
    assert tree.pending() == tree.planned() == NOTHING


def test_images_that_are_gone(tree):
    """What was prepared from them stands, and that is said."""
    shutil.rmtree(tree.folder / "pics")
    text = tree.run("--dry-run")
    assert "note: data: pics is not there, or not whole; what was prepared from it on " in text
    assert tree.pending() == NOTHING


@pytest.mark.parametrize(("key", "value"), [("image_size", 16), ("val_fraction", 0.2), ("test_fraction", 0.3)])
def test_how_they_are_prepared(tree, key, value):
    tree.configure(STUDY | {"data": STUDY["data"] | {key: value}})
    assert tree.pending() == ALL


def test_an_own_test_split_has_no_test_fraction(tree):
    for name in ("cat", "dog"):
        (tree.folder / f"split/test/{name}").mkdir(parents=True)
        shutil.copytree(tree.folder / f"pics/{name}", tree.folder / f"split/train/{name}")
        shutil.move(tree.folder / f"split/train/{name}/1.pgm", tree.folder / f"split/test/{name}/1.pgm")
    addresses = []
    for fraction in (0.2, 0.3):
        tree.configure(STUDY | {"data": STUDY["data"] | {"root": "split", "test_fraction": fraction}})
        assert tree.pending() == ALL
        addresses.append(tree.tell_jobs()["data"])
    assert addresses[0] == addresses[1]
    shutil.rmtree(tree.folder / "split")
    shutil.rmtree(tree.folder / "results/.jobs")


def test_images_edited_while_a_job_waits_stop_it(tree):
    """The job was planned for the images as they were."""
    save(tree.folder / "pics/cat/new.pgm", 7)
    job = tree.tell_jobs()["data"]
    save(tree.folder / "pics/cat/newer.pgm", 8)
    done = shell_output(tree, job / "data.log")
    assert "the images changed since this job was planned; run again" in done
    assert not (job / "data.safetensors").exists() or not (job / "record.json").exists()
    shutil.rmtree(tree.folder / "results/.jobs")


def shell_output(tree, log):
    """What a job's process says."""
    command = [sys.executable, "-m", "lskd.jobs.run", str(log)]
    done = subprocess.run(command, cwd=tree.folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    assert done.returncode == 1
    return done.stdout


def test_another_whole_file_in_place_of_a_published_one(tree):
    """Its address is that of the published files, and who reads others says so."""
    folder = tree.folder / "data/FashionMNIST/raw"
    folder.mkdir(parents=True)
    for name, shape in {"images-idx3": (4, 28, 28), "labels-idx1": (4,)}.items():
        content = struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + bytes(int(np.prod(shape)))
        for split in ("train", "t10k"):
            (folder / f"{split}-{name}-ubyte").write_bytes(content)
    tree.configure(STUDY | {"data": "fashion_mnist"})
    assert tree.pending() == ALL
    done = tree.snakemake()
    assert done.returncode != 0
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("error:")]
    assert "a whole IDX file, but not the published one" in line
    assert tree.pending() == ALL


def test_data_by_its_path_on_the_command_line(tree):
    """`--config data=PATH` is the same data as in the config, for a study of a name of its own."""
    tree.configure(STUDY | {"pictures": {"data": {"image_size": 8}}})
    config = {"data": "./pics"}
    expected = {"metrics table accuracy", "figure table"}
    assert tree.pending(config=config) == tree.planned(config=config) == expected
