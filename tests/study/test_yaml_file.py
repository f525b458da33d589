"""A YAML file of the user's: what is read, and the place and the mend of each mistake."""

import time

import pytest

from lskd.errors import UserError
from lskd.study import yaml_file

BOMB = "x1: &x1 [a, a, a, a, a, a, a, a, a]\n" + "".join(
    f"x{i}: &x{i} [{', '.join([f'*x{i - 1}'] * 9)}]\n" for i in range(2, 12)
)
TEXTS = {
    "an open bracket": ("study: [a\n", r"c.yaml:2:1: not valid YAML: .* mend this line or the one above"),
    "a tab": ("study: s\nrecipes:\n\tr: {epochs: 1}\n", "c.yaml:3:1: not valid YAML: found a tab; indent with spaces"),
    "a colon too many": ("study: a: b\n", "c.yaml:1:9: .*quote text that holds :"),
    "a key twice": ("study: a\nstudy: b\n", "c.yaml:2:1: key 'study' stands twice; leave one out"),
    "a key twice, below": ("a:\n  b: 1\n  'b': 2\n", "c.yaml:3:3: key 'b' stands twice"),
    "a number as a key": ("recipes: {1: {}}\n", 'c.yaml:1:11: key 1 is no text; write "1" if it is a name'),
    "a truth value as a key": ("on: 1\n", 'c.yaml:1:1: key True is no text; write "on"'),
    "null as a key": ("null: 1\n", 'key None is no text; write "null"'),
    "a list as a key": ("? [1]\n: 2\n", r"key \[1\] is no text; write a name"),
    "no such day": ("study: 2026-13-40\n", "c.yaml:1:8: '2026-13-40' cannot be read .*; quote it if it is text"),
    "a number without end": (f"study: {'9' * 5000}\n", "c.yaml:1:8: '9{40}' cannot be read"),
    "an object of Python's": ("study: !!python/object/apply:os.system [x]\n", "c.yaml:1:8: could not determine"),
    "two documents": ("a: 1\n---\nb: 2\n", "c.yaml:2:1: a second document begins here; .* leave the line --- out"),
    "a bomb of aliases": (BOMB, "c.yaml:5:20: more than 20,000 values, each alias counted whole; shorten"),
    "an alias in itself": ("a: &a [*a]\n", r"c.yaml:1:8: \*a stands within what it stands for"),
    "an alias of nothing": ("a: *b\n", "undefined alias"),
    "far too deep": ("a: " + "[" * 5000, "c.yaml:1:.*: more than 40 levels deep"),
    "far too large": ("seeds: [" + "0, " * 1_000_000, "c.yaml: more than 100,000 bytes, no study"),
    "a list": ("- a\n", "found a list, a mapping of keys is needed"),
    "a text": ("hello\n", "found a text, a mapping"),
    "nothing": ("", "found nothing, a mapping"),
    "a zero byte": ("study: a\0b\n", "control characters are not allowed .*; delete it"),
    "code": ("__use_yte__: true\nstudy: ?open('x', 'w')\n", "__use_yte__: found a template, which runs code; leave"),
    "code below a merge": ("<<: {__use_yte__: true}\nstudy: a\n", "__use_yte__: found a template"),
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_mistake_is_one_line_with_its_place(tmp_path, case):
    text, said = TEXTS[case]
    file = tmp_path / "c.yaml"
    file.write_text(text)
    begun = time.monotonic()
    with pytest.raises(UserError, match=said) as caught:
        yaml_file.read(file)
    assert time.monotonic() - begun < 2
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"study: caf\xe9\n", "found byte 10 is no UTF-8; save it as UTF-8"),
        ("study: s\n".encode("utf-16"), "found UTF-16; save it as UTF-8"),
        (bytes(range(128, 256)), "is no UTF-8"),
    ],
)
def test_bytes_that_are_no_text(tmp_path, content, said):
    (tmp_path / "c.yaml").write_bytes(content)
    with pytest.raises(UserError, match=said):
        yaml_file.read(tmp_path / "c.yaml")


def test_what_is_no_file(tmp_path):
    (tmp_path / "study.yaml").write_text("study: s\n")
    with pytest.raises(UserError, match="studi.yaml: no such file; did you mean .*/study.yaml?"):
        yaml_file.read(tmp_path / "studi.yaml")
    with pytest.raises(UserError, match="no such file; name a study's YAML file: --configfile FILE"):
        yaml_file.read(tmp_path / "none" / "other")
    with pytest.raises(UserError, match="a folder; name a study's YAML file"):
        yaml_file.read(tmp_path)
    with pytest.raises(UserError, match="/dev/zero: no regular file"):
        yaml_file.read("/dev/zero")
    with pytest.raises(UserError, match="cannot be read .File name too long"):
        yaml_file.read("x" * 5000)
    with pytest.raises(UserError, match="no name of a file"):
        yaml_file.read("a\0b")


def test_what_is_right_is_read(tmp_path):
    file = tmp_path / "c.yaml"
    file.write_bytes("\ufeffa: &a {b: 1}\nc: {<<: *a, b: 2}\nd: [*a, *a]\r\n".encode())
    assert yaml_file.read(file) == {"a": {"b": 1}, "c": {"b": 2}, "d": [{"b": 1}, {"b": 1}]}


def test_a_list_that_is_said_to_be_a_set():
    with pytest.raises(UserError, match="x.yaml:1:4: no mapping of keys"):
        yaml_file.load("a: !!set [b]\n", "x.yaml")


@pytest.mark.parametrize("value", ["!!float ''", "!!int ''", "!!bool x", "!!timestamp x", "!!timestamp 2026-99-99"])
def test_a_value_that_is_none_of_the_type_it_is_said_to_be(value):
    with pytest.raises(UserError, match="x.yaml:1:4: .* cannot be read .*; quote it if it is text"):
        yaml_file.load(f"a: {value}\n", "x.yaml")
