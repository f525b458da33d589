"""The corpus that ships with lskd."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

from lskd.errors import UserError
from lskd.translation.cleaning import clean, key
from lskd.translation.help_extract import FILE, LANGUAGES, files, load
from tests.translation.test_libreoffice import INSTALLED, needs_help


def test_it_is_small_and_says_its_licence():
    notice, *lines = FILE.read_text().splitlines()
    assert "Mozilla Public License, v. 2.0" in notice and notice.startswith("#")
    assert FILE.stat().st_size < 300_000 and len(lines) >= 1200
    assert all(len(line.split("\t")) == 4 for line in lines)


@pytest.mark.parametrize("source", LANGUAGES)
@pytest.mark.parametrize("target", LANGUAGES)
def test_nothing_of_it_is_cleaned_away(source, target):
    if source == target:
        with pytest.raises(UserError, match=f"found the pair {source}-{target}; two different of de, en, ru"):
            list(load(Path(), source, target))
        return
    pairs = list(load(Path(), source, target))
    kept, removed = clean(pairs, source, target, 12)
    assert kept == pairs and not removed
    assert len({key(pair.source) for pair in pairs}) == len({key(pair.target) for pair in pairs}) == len(pairs)
    assert files(Path(), source, target) == [FILE]


@needs_help
def test_the_script_makes_it_again():
    spec = importlib.util.spec_from_file_location("make", Path(__file__).parents[2] / "workflow/help_extract.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert FILE.read_text().splitlines()[1:] == ["\t".join(row) for row in module.chosen(INSTALLED)]


def test_planning_a_corpus_imports_neither_torch_nor_numpy():
    names = ("aligned", "gettext_catalogues", "help_extract", "iwslt", "libreoffice", "wmt14")
    loaded = "{name for name in ('torch', 'numpy', 'pyarrow') if name in sys.modules}"
    code = f"from lskd.translation import {', '.join(names)}; import sys; print({loaded})"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"
