"""The pages are true: docs/library.md prints what it says, links lead somewhere, `make help` tells every target."""

import contextlib
import io
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
RENAMED = (r"`loss: ", r"\bloss: \w+_?\w*,", r"\bviews\b", r"supervision/losses\.py", r"studyfile", r"\btables\.py")
LIBRARY = re.findall(
    r"^```python\n(.*?)^```\n\n```text\n(.*?)^```", (ROOT / "docs/library.md").read_text(), re.MULTILINE | re.DOTALL
)


def test_the_library_page_prints_what_it_says(tmp_path, monkeypatch):
    assert (ROOT / "docs/library.md").read_text().count("```python\n") == len(LIBRARY)
    monkeypatch.chdir(tmp_path)
    names: dict[str, object] = {}
    for number, (code, output) in enumerate(LIBRARY):
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(code, f"docs/library.md, block {number}", "exec"), names)
        assert printed.getvalue() == output


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub names them."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), f"{page.name}: {link}"
        assert not anchor or anchor in anchors(target), f"{page.name}: {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_says_what_was_renamed(page):
    if page.name == "CHANGELOG.md":
        return
    text = page.read_text()
    for word in RENAMED:
        assert not re.search(word, text), f"{page.name}: {word}"


def test_every_page_is_named_in_the_readme():
    readme = (ROOT / "README.md").read_text()
    for page in sorted((ROOT / "docs").glob("*.md")):
        assert f"docs/{page.name}" in readme, page.name


def test_make_help_tells_every_target():
    makefile = (ROOT / "Makefile").read_text()
    listed = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    targets = re.search(r"^\.PHONY: (.+)$", makefile, re.MULTILINE)[1].split()
    assert [line.split()[0] for line in listed.splitlines() if line.startswith("  ")] == targets
    assert len(max(listed.splitlines(), key=len)) <= 100


def test_pre_commit_runs_what_make_check_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())
    (repo,) = hooks["repos"]
    assert repo["repo"] == "local"
    entries = [hook["entry"] for hook in repo["hooks"]]
    for tool in ("ruff check", "ruff format", "snakefmt", "mypy"):
        assert any(f".venv/bin/{tool}" in entry for entry in entries)
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}


def test_the_catalogue_file_is_as_the_workflow_catalogue_reads_it():
    usage = yaml.safe_load((ROOT / ".snakemake-workflow-catalog.yml").read_text())["usage"]
    assert usage["software-stack-deployment"]["conda"] is True and usage["report"] is True
    rules = "".join(path.read_text() for path in (ROOT / "workflow/rules").glob("*.smk"))
    assert "conda:" in rules and "report(" in rules


def test_the_generated_pages_are_made_by_make_docs():
    makefile = (ROOT / "Makefile").read_text()
    for module in ("lskd.study.schema", "lskd.study.reference"):
        assert f"python -m {module}" in makefile.split("\ndocs:")[1].split("\n\n")[0]
    assert sys.version_info >= (3, 11)
