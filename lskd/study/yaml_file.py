"""A YAML file that a user wrote: bounded before anything is built of it, each mistake told with its line and column.

A study file is data. Snakemake would run the code in one that says `__use_yte__`, so such a file is refused.
"""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml

from lskd.errors import UserError

LARGEST = 100_000  # bytes of a file
MOST = 20_000  # values in it, each alias counted as what it stands for
DEEPEST = 40  # levels
_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # six times faster where PyYAML has libyaml


def read(path: Path | str) -> dict[str, Any]:
    """The mapping in a YAML file. UserError for what cannot be read, and for what no study holds."""
    content = load(_text(Path(path)), str(path))
    if not isinstance(content, dict):
        what = "nothing" if content is None else f"a {_kind(content)}"
        raise UserError(f"{path}: found {what}, a mapping of keys is needed (study: ...); see config.yaml")
    if "__use_yte__" in content:
        raise UserError(f"{path}: __use_yte__: found a template, which runs code; leave the key out and write values")
    return content


def load(text: str, source: str) -> Any:
    """What a YAML text holds; UserError with its place for a mistake, a key given twice, or far too much."""
    try:
        _check_size(text)
        return yaml.load(text, _Loader)  # a SafeLoader
    except yaml.reader.ReaderError as error:
        raise UserError(f"{source}: not valid YAML: {error.reason} (#x{error.character:04x}); delete it") from None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}:{mark.column + 1}" if mark else source
        is_tab = mark is not None and text[mark.index :].startswith("\t")
        raise UserError(f"{place}: {_problem(error, is_tab)}") from None


def _text(path: Path) -> str:
    try:
        if path.exists() and not path.is_file():
            what = "a folder" if path.is_dir() else "no regular file"
            raise UserError(f"{path}: {what}; name a study's YAML file")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; {_near(path)}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); make it readable, or name another file") from None
    except ValueError:
        raise UserError(f"{str(path)!r}: no name of a file; name a study's YAML file") from None
    if len(content) > LARGEST:
        raise UserError(f"{path}: more than {LARGEST:,} bytes, no study; name a study's YAML file")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = "UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else f"byte {error.start} is no UTF-8"
        raise UserError(f"{path}: found {what}; save it as UTF-8 text, or name a YAML file") from None


def _near(path: Path) -> str:
    try:
        names = [each.name for each in path.parent.iterdir() if each.suffix in (".yaml", ".yml", ".json")]
    except OSError:
        names = []
    near = get_close_matches(path.name, names, 1, 0.75)
    return f"did you mean {path.with_name(near[0])}?" if near else "name a study's YAML file: --configfile FILE"


def _check_size(text: str) -> None:
    """Refuse too many values, too deep ones, and an alias in what it stands for; nothing is built here."""
    sizes: dict[str, int] = {}  # of what has an anchor
    open_anchors: list[str | None] = []
    counts = [0]  # of what is open, the outermost first
    for event in yaml.parse(text, _Fast):
        if isinstance(event, yaml.CollectionStartEvent):
            open_anchors.append(event.anchor)
            counts.append(1)
            if len(counts) > DEEPEST:
                raise _refused(f"more than {DEEPEST} levels deep; no study is: look for brackets left open", event)
            continue
        if isinstance(event, yaml.AliasEvent):
            if event.anchor in open_anchors:
                raise _refused(f"*{event.anchor} stands within what it stands for; write the values out", event)
            counts[-1] += sizes.get(event.anchor or "", 1)
        elif isinstance(event, yaml.ScalarEvent):
            sizes[event.anchor or ""] = 1
            counts[-1] += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            count, anchor = counts.pop(), open_anchors.pop()
            sizes[anchor or ""] = count
            counts[-1] += count
        if counts[-1] > MOST:
            raise _refused(f"more than {MOST:,} values, each alias counted whole; shorten its lists", event)


def _refused(problem: str, event: Any) -> yaml.MarkedYAMLError:
    return yaml.constructor.ConstructorError(None, None, problem, event.start_mark)


def _problem(error: yaml.MarkedYAMLError, is_tab: bool) -> str:
    """What is wrong at a place, and how to mend it."""
    problem = " ".join((error.problem or "").split())
    if isinstance(error, yaml.constructor.ConstructorError):
        if "could not determine a constructor" in problem:
            return f"{problem}; write plain text, numbers, lists and mappings"
        return problem
    if is_tab or "\\t" in problem:
        return "not valid YAML: found a tab; indent with spaces"
    if "single document" in (error.context or ""):
        return "a second document begins here; a file holds one study: leave the line --- out"
    context = f" {error.context}" if error.context else ""
    return f"not valid YAML: {problem}{context}; mend this line or the one above, and quote text that holds : # [ or {{"


def _kind(value: Any) -> str:
    names = {bool: "truth value", int: "number", float: "number", str: "text", list: "list"}
    return names.get(type(value), type(value).__name__)


class _Loader(_Fast):
    """A SafeLoader that refuses a key given twice, of which YAML would keep the last, and a key that is no text."""

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except yaml.YAMLError:
            raise
        except Exception as error:  # such as 2026-13-40, which YAML takes for a date; !!float '', !!bool x
            reason = " ".join(str(error).split())[:60]
            problem = f"{node.value[:40]!r} cannot be read ({reason}); quote it if it is text"
            raise yaml.constructor.ConstructorError(None, None, problem, node.start_mark) from None

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        if not isinstance(node, yaml.MappingNode):  # of `!!set [a]`
            raise yaml.constructor.ConstructorError(None, None, "no mapping of keys", node.start_mark)
        seen = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":  # `<<: *anchor` may be overridden
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                problem = f"key {key!r:.40} is no text; {_quoted(key_node)}"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            if key in seen:
                problem = f"key {key!r:.40} stands twice; leave one out"
                raise yaml.constructor.ConstructorError(None, None, problem, key_node.start_mark)
            seen.add(key)
        return dict(super().construct_mapping(node, deep))


def _quoted(key_node: yaml.Node) -> str:
    if isinstance(key_node, yaml.ScalarNode):
        return f'write "{key_node.value:.40}" if it is a name'
    return "write a name"
