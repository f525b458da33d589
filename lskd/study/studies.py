"""The studies of a tree: the config's own, and those of the papers that have its scale."""

import sys
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from lskd.errors import UserError
from lskd.study import reading
from lskd.study.config import Study

TREE = Path(__file__).resolve().parents[2]
STEPS = (
    *("all", "data", "corpus", "train", "predict", "translate", "teacher_logits", "snapshots", "metrics", "figure"),
    "publish",
)


def read_all(
    config: dict[str, Any], overrides: Mapping[str, Any], configfiles: Iterable[Path | str]
) -> tuple[Study, dict[str, Study]]:
    """The config's study, and all studies by name, it first.

    `config` is what the config files hold with `overrides`, those of the command line, laid over them.
    """
    for path in configfiles:
        reading.read(path)  # for what Snakemake's own reading lets pass, such as a key given twice
    main = reading.parse(config, overrides=overrides)
    studies = {main.study: main}
    for path in sorted(TREE.glob("workflow/studies/*.yaml")):
        raw = reading.read(path)
        if main.scale in raw.get("scales", {}) and raw.get("study") not in studies:
            study = reading.parse(raw, main.scale, source=path.name)
            studies[study.study] = study.model_copy(update={"runtime": main.runtime})
    _check_targets(main, studies)
    return main, studies


def targets(main: Study, studies: dict[str, Study]) -> dict[str, list[tuple[str, str]]]:
    """What a user asks for by name: a study, one of its figures, or `figures`, the config's; pairs (study, figure)."""
    named = {}
    for study in studies.values():
        named[study.study] = [(study.study, figure) for figure in study.figures]
        for figure in study.figures:
            named[figure if study is main else f"{study.study}_{figure}"] = [(study.study, figure)]
    return named | {"figures": named[main.study]}


def _check_targets(main: Study, studies: dict[str, Study]) -> None:
    """A step's name, or a name twice, would hide a target; a study's page is called index."""
    taken = {*STEPS, "index", "figures"}
    for study in [study for study in studies.values() if study is not main]:
        taken |= {study.study, *(f"{study.study}_{figure}" for figure in study.figures)}
    for name, where in [(main.study, "study"), *((figure, f"figures.{figure}") for figure in main.figures)]:
        if name in taken:
            raise UserError(f"{where}: the name {name!r} is taken, by a step, a study or a page; choose another")
        taken.add(name)


def check_file(path: Path | str) -> None:
    """Exit with one line for a config file that is none: Snakemake, which reads it next, would not say where."""
    try:
        reading.read(path)
    except UserError as error:
        sys.exit(f"error: {error}")


def no_target(name: str, names: Iterable[str], published: Mapping[str, str]) -> str:
    """The line for a target that is none: the nearest one, or the one that makes this published file.

    `names` are all targets; `published` tells the target of each place below results/figures/, without its ending.
    """
    place = name.rpartition(".")[0]
    if place in published:
        return f"{name}: is published by its target; ask for that: snakemake {published[place]}"
    if name in STEPS:
        return f"{name}: a step of every run, no target; ask for a study or a figure: {_some(names)}"
    near = get_close_matches(name.rpartition("/")[2].partition(".")[0] if "/" in name else name, list(names), 1)
    return f"{name}: no such target; {f'did you mean {near[0]}?' if near else f'there are {_some(names)}'}"


def _some(names: Iterable[str]) -> str:
    listed = list(names)
    more = f" and {len(listed) - 12} more" if len(listed) > 12 else ""
    return ", ".join(listed[:12]) + more


def trust_code(config: dict[str, Any], overrides: Mapping[str, Any]) -> tuple[bool, dict[str, Any], dict[str, Any]]:
    """Whether `trust=code` was said, and config and overrides without it. UserError for another value."""
    value = overrides.get("trust", config.get("trust"))
    if value not in (None, "code"):
        raise UserError(
            f"trust: found {repr(value)[:60]}; trust=code accepts results of other code for this invocation, else leave"
            " it out"
        )
    rest = [{key: each for key, each in mapping.items() if key != "trust"} for mapping in (config, overrides)]
    return value == "code", *rest
