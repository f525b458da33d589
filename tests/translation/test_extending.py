"""The corpus of docs/extending.md is one: its line is an entry, its loader reads pairs, its files are its content."""

import re
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from lskd.errors import UserError
from lskd.study import registry
from lskd.translation.pairs import Pair

PAGE = (Path(__file__).parents[2] / "docs/extending.md").read_text()
SECTION = re.search(r"^## A corpus\n(.*?)^## ", PAGE, re.MULTILINE | re.DOTALL)[1]
SOURCE, LINE = re.findall(r"^```python\n(.*?)^```$", SECTION, re.MULTILINE | re.DOTALL)


@pytest.fixture
def corpus() -> Any:
    module = ModuleType("tab_separated")
    exec(SOURCE, vars(module))
    return module


def test_its_line_is_an_entry_of_the_registry():
    (entry,) = eval(f"{{{LINE}}}", vars(registry)).values()
    assert entry.task == registry.TRANSLATION
    assert {option.name for option in entry.options} >= {"source", "target", "pieces"}
    assert f"`{entry.entry.partition(':')[0].replace('.', '/')}.py`" in SECTION


def test_its_loader_reads_pairs(corpus, tmp_path):
    lines = [f"word {number}\tWort {number}" for number in range(25)]
    (tmp_path / "en-de.tsv").write_text("\n".join(lines) + "\n")
    pairs = list(corpus.load(tmp_path, "en", "de"))
    assert pairs[0] == Pair("000000", "word 0", "Wort 0")
    assert len(pairs) == 25 and len({pair.document for pair in pairs}) == 3
    assert corpus.files(tmp_path, "en", "de") == [tmp_path / "en-de.tsv"]


def test_a_line_without_a_tab_is_told(corpus, tmp_path):
    (tmp_path / "en-de.tsv").write_text("a\tb\nno tab\n")
    with pytest.raises(UserError, match="line 2 has 0 tabs"):
        list(corpus.load(tmp_path, "en", "de"))
    with pytest.raises(UserError, match=r"en-ru\.tsv: no such file; put that file there"):
        corpus.files(tmp_path, "en", "ru")
