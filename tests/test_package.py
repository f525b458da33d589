"""The package that `pip install .` makes: its command, its data, its version, in an environment of its own."""

import re
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import lskd
from lskd.jobs.provenance import versions
from tests.workflow.conftest import TINY

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
UV = Path(sys.executable).with_name("uv")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run([UV, "build", "--quiet", "--wheel", "--out-dir", folder, ROOT], check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """The bin/ of an environment with the locked requirements of a laptop and the wheel, and nothing else."""
    folder = tmp_path_factory.mktemp("installed")
    venv.create(folder, with_pip=False)
    install = [UV, "pip", "install", "--quiet", "--python", folder / "bin/python"]
    subprocess.run([*install, "--require-hashes", "-r", ROOT / "envs/figures.txt"], check=True)
    subprocess.run([*install, "--no-deps", wheel], check=True)
    subprocess.run([UV, "pip", "check", "--quiet", "--python", folder / "bin/python"], check=True)
    return folder / "bin"


@pytest.fixture(scope="module")
def project(tmp_path_factory) -> Path:
    """A user's folder: a config, and no checkout."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "config.yaml").write_text(yaml.safe_dump(TINY))
    (folder / "results").mkdir()
    return folder


def said(project: Path, *command: Path | str) -> tuple[int, str]:
    done = subprocess.run(command, cwd=project, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def test_the_version_is_said_once():
    assert re.fullmatch(r"\d+\.\d+\.\d+", lskd.__version__)
    assert PROJECT["project"]["dynamic"] == ["version"]
    assert versions("figure")["lskd"] == lskd.__version__
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == lskd.__version__
    newest = re.search(r"^## \[([^]]+)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest and newest[1] == lskd.__version__


def test_the_wheel_holds_the_package_and_its_data(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    files = {path for part in ("*.py", "*.yaml", "*.tsv", "*.csv") for path in (ROOT / "lskd").rglob(part)}
    assert {str(path.relative_to(ROOT)) for path in files} == {name for name in names if name.startswith("lskd/")}
    assert wheel.name.startswith(f"lskd-{lskd.__version__}-py3-")


def test_the_command_is_there(installed, project):
    status, text = said(project, installed / "lskd", "--help")
    assert status == 0 and text.startswith("usage: lskd COMMAND")
    assert said(project, installed / "lskd", "--version") == (0, f"lskd {lskd.__version__}\n")


def test_it_plans_and_lists_in_a_users_folder(installed, project):
    status, text = said(project, installed / "lskd", "why", "grid")
    assert status == 0 and "train" in text
    status, text = said(project, installed / "lskd", "ls")
    assert status == 0 and "without a checkout" in text


def test_gc_needs_the_checkout(installed, project):
    status, text = said(project, installed / "lskd", "gc", "--delete")
    assert status == 1 and text.startswith("error: gc: ") and text.count("\n") == 1


def test_it_is_a_library_without_torch(installed, project):
    code = (
        "from lskd.metrics import calibration, diffusion, stability; from lskd.analysis import comparisons, statistics;"
        "from lskd.io import store; from lskd.supervision import kd; from lskd.papers.read import paper;"
        "paper('muller2019'); import sys; print('torch' in sys.modules, kd.NEEDS_TEACHER)"
    )
    assert said(project, installed / "python", "-c", code) == (0, "False True\n")


def test_the_same_code_has_the_same_digest_when_installed(installed, project):
    code = "from lskd.fingerprint.definitions import definitions as d; print(d(['lskd.metrics.measure:run']))"
    assert said(project, installed / "python", "-c", code) == said(ROOT, sys.executable, "-c", code)


@pytest.mark.parametrize("extra", ["train", "timm", "dev"])
def test_what_is_optional_is_an_extra(extra):
    needed, optional = PROJECT["project"]["dependencies"], PROJECT["project"]["optional-dependencies"][extra]
    assert optional and not any(name.startswith(("torch", "timm")) for name in needed)
