"""What no file of lskd does, told by its syntax tree; and how rules, names and downloads are kept from doing harm."""

import ast
import http.server
import re
import threading
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lskd.data import torchvision_sets
from lskd.errors import UserError
from lskd.io.layout import FILES, ROOMS
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.study import reading
from tests.workflow.conftest import TINY

ROOT = Path(__file__).parents[1]
SOURCES = [path for folder in ("lskd", "workflow") for path in sorted((ROOT / folder).rglob("*.py"))]
RULES = [ROOT / "Snakefile", *sorted((ROOT / "workflow/rules").glob("*.smk"))]
FORBIDDEN = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "tempfile.mktemp", "yaml.unsafe_load"),
    *("yaml.full_load", "yaml.unsafe_load_all", "shutil.unpack_archive", "pickle.load", "pickle.Unpickler"),
}
UNPACKING = {"extractall", "extract_archive", "extract_all"}
MODULES = {"pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "ctypes", "telnetlib", "ftplib"}
REVIEWED = {  # what is looked at here and stands, with the reason
    ("lskd/data/torchvision_sets.py", "pickle"): "CIFAR is published as pickles; bytes of another digest are not read",
    ("lskd/data/torchvision_sets.py", "pickle.loads"): "the same, and each file's digest was compared just before",
    ("lskd/data/torchvision_sets.py", "extract_archive"): "of the published archive alone, by its digest",
    ("lskd/training/device.py", "ctypes"): "calls the C library's mallopt with constants",
    ("lskd/study/command_line.py", "yaml.load"): "with BaseLoader, which makes nothing but text",
    ("lskd/papers/read.py", "yaml.load"): "of a file of lskd's own, with a loader made of SafeLoader",
    ("lskd/study/yaml_file.py", "yaml.load"): "with a loader made of CSafeLoader",
}


def problems(path: str, tree: ast.Module) -> Iterator[str]:
    """What a file does that needs a review, by the name of what it calls or imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            yield from (name for name in names if name.split(".")[0] in MODULES)
        elif isinstance(node, ast.Call):
            yield from _called(node)


def _called(node: ast.Call) -> Iterator[str]:
    name = ast.unparse(node.func)
    given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
    if name in FORBIDDEN or name.rpartition(".")[2] in UNPACKING or name in ("pickle.loads", "yaml.load"):
        yield name
    if name in ("torch.load", "load") and "map_location" in given and given.get("weights_only") != "True":
        yield f"{name} without weights_only"
    if name == "torch.load" and given.get("weights_only") != "True":
        yield f"{name} without weights_only"
    if name == "np.load" and given.get("allow_pickle", "False") != "False":
        yield f"{name} with pickles"
    if given.get("shell", "False") != "False" or name.endswith("create_subprocess_shell"):
        yield f"{name} with a shell"


@cache
def problems_of(path: Path) -> frozenset[str]:
    return frozenset(problems(str(path), ast.parse(path.read_text())))


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_runs_what_it_reads(path):
    reviewed = {what for file, what in REVIEWED if file == path.relative_to(ROOT).as_posix()}
    assert problems_of(path) <= reviewed


def test_what_was_reviewed_is_still_there():
    assert {(path.relative_to(ROOT).as_posix(), what) for path in SOURCES for what in problems_of(path)} == set(
        REVIEWED
    )


@pytest.mark.parametrize(
    "code",
    [
        *("eval('1')", "exec(text)", "__import__('os')", "os.system('ls')", "tempfile.mktemp()", "import pickle"),
        *("torch.load(path)", "torch.load(path, weights_only=False)", "np.load(path, allow_pickle=True)"),
        *("subprocess.run(text, shell=True)", "subprocess.run(text, shell=flag)", "tar.extractall(path)"),
        *("yaml.load(text, Loader)", "yaml.unsafe_load(text)", "from pickle import loads", "zip.extractall()"),
    ],
)
def test_what_runs_things_is_seen(code):
    assert list(problems("x.py", ast.parse(code)))


def test_the_yaml_loaders_make_plain_values():
    from lskd.papers import read
    from lskd.study import yaml_file

    loaders = [
        yaml_file._Loader,
        *(each for each in vars(read).values() if isinstance(each, type) and "Load" in each.__name__),
    ]
    for loader in loaders:
        text = "!!python/object/apply:os.getcwd []"
        with pytest.raises(Exception, match="could not determine a constructor"):
            loader(text).get_single_data()


@pytest.mark.parametrize("path", RULES, ids=lambda path: path.name)
def test_each_shell_line_quotes_what_comes_from_the_config(path):
    text = path.read_text()
    lines = re.findall(r"^    shell:\n((?:        .*\n?)+)", text, re.MULTILINE)
    assert len(lines) == len(re.findall(r"^\s*shell:", text, re.MULTILINE))
    for line in lines:
        places = re.findall(r"(?<!\{)\{([^{}]*)\}", line)
        assert all(place.endswith(":q") for place in places), line
    assert not re.search(r"\bshell\s*\(|\beval\s*\(|\bexec\s*\(|os\.system|shell=True", text)


def test_there_are_rules_with_shell_lines():
    assert sum(path.read_text().count("shell:") for path in RULES) >= 5


NAME = st.one_of(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_.+-]{0,20}", fullmatch=True),
    st.sampled_from(
        ["..", ".", "a/b", "../x", "/x", "a\\b", "-n", "", "a\nb", "con", "~", "a b", "é", "a..", "0", "index"]
    ),
    st.text(max_size=8),
)
MODEL = st.one_of(
    st.sampled_from(["mlp", "timm/resnet10t", "timm/../../x", "timm//x", "timm/", "timm/a/b", "resnet18", "timm/.."]),
    NAME.map(lambda name: f"timm/{name}"),
)


BASE = {"study": "s", "recipe": "r", "teacher": "t", "student": "p", "figure": "f", "data": "d"}


@given(names=st.dictionaries(st.sampled_from(list(BASE)), NAME, max_size=2), model=MODEL)
def test_no_accepted_name_leaves_the_results(tmp_path_factory, names, model):
    """Study, recipe, groups, figure, data and model: refused, or a folder of its own below its room."""
    root, names = (tmp_path_factory.getbasetemp() / "results").resolve(), BASE | names
    recipe, teacher, one = names["recipe"], names["teacher"], {"model": "mlp", "recipe": names["recipe"]}
    study = TINY | {
        "study": names["study"],
        "data": {"dataset": "digits", "name": names["data"]},
        "recipes": {recipe: {"epochs": 1}},
        "teachers": {teacher: {"model": model, "recipe": recipe, "label_smoothing": [0.0]}},
        "students": {names["student"]: one | {"teacher": teacher, "temperature": [1]}},
        "figures": {names["figure"]: {"kind": "grid"}},
    }
    try:
        main = reading.parse(study)
    except UserError:
        return
    catalogue = Catalogue({main.study: main}, Results(root))
    published = Plan(main, catalogue, {}).published(main.study, names["figure"])
    assert published.parent.parent.parent == root / "figures" and published.resolve() == published
    for job in catalogue.everything():
        for path in job.paths:
            assert path.resolve() == path and path.is_relative_to(root / ROOMS[job.stage])
            assert path.name in (*FILES[job.stage], "record.json")


@pytest.fixture
def server(tmp_path, monkeypatch) -> Iterator[str]:
    """A server on this machine that gives the same wrong file for every name."""

    class Wrong(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"not the published file")

        do_HEAD = do_GET

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Wrong) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def test_a_download_of_another_digest_is_refused(server, tmp_path, monkeypatch):
    for sets in (torchvision_sets.MNIST, torchvision_sets.FashionMNIST):
        monkeypatch.setattr(sets, "mirrors", [server])
    for sets in (torchvision_sets.CIFAR10, torchvision_sets.CIFAR100):
        monkeypatch.setattr(sets, "url", f"{server}{sets.filename}")
    for load in ("load_mnist", "load_fashion_mnist", "load_cifar10", "load_cifar100"):
        with pytest.raises(UserError, match="cannot be downloaded"):
            getattr(torchvision_sets, load)(tmp_path / load, workers=1)
        assert not [path for path in (tmp_path / load).rglob("*") if path.is_file()]


def test_nothing_else_downloads():
    """No weights and no other data: torchvision's and timm's networks are built untrained."""
    for path in SOURCES:
        text = path.read_text()
        if path.name != "torchvision_sets.py" and "lskd" in path.parts:
            loads = r"urlopen|urlretrieve|requests\.|hf_hub|datasets\.load_dataset|import load_dataset|\bdownload\w*\("
            assert not re.search(loads, text), path
    assert 'options: dict[str, Any] = {"pretrained": False' in (ROOT / "lskd/models/timm_models.py").read_text()
    assert '{"weights": None' in (ROOT / "lskd/models/torchvision_models.py").read_text()
