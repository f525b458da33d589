"""The studies of a tree: the config's own, and those of the papers that have its scale."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from lskd.errors import UserError
from lskd.study import reading as studyfile
from lskd.study.config import Study

TREE = Path(__file__).resolve().parents[2]
STEPS = ("all", "data", "train", "predict", "teacher_logits", "snapshots", "metrics", "figure", "publish")


def read_all(
    config: dict[str, Any], overrides: Mapping[str, Any], configfiles: Iterable[Path | str]
) -> tuple[Study, dict[str, Study]]:
    """The config's study, and all studies by name, it first.

    `config` is what the config files hold with `overrides`, those of the command line, laid over them.
    """
    for path in configfiles:
        studyfile.read(path)  # for what Snakemake's own reading lets pass, such as a key given twice
    main = studyfile.parse(config, told=overrides)
    studies = {main.study: main}
    for path in sorted(TREE.glob("workflow/studies/*.yaml")):
        raw = studyfile.read(path)
        if main.scale in raw.get("scales", {}) and raw.get("study") not in studies:
            study = studyfile.parse(raw, main.scale, source=path.name)
            studies[study.study] = study.model_copy(update={"runtime": main.runtime})
    _check_targets(main, studies)
    return main, studies


def targets(main: Study, studies: dict[str, Study]) -> dict[str, list[tuple[str, str]]]:
    """What a user asks for by name: a study or one of its figures, as pairs (study, figure)."""
    named = {}
    for study in studies.values():
        named[study.study] = [(study.study, figure) for figure in study.figures]
        for figure in study.figures:
            named[figure if study is main else f"{study.study}_{figure}"] = [(study.study, figure)]
    return named


def _check_targets(main: Study, studies: dict[str, Study]) -> None:
    """A step's name, or a name twice, would hide a target."""
    taken = set(STEPS)
    for study in [study for study in studies.values() if study is not main]:
        taken |= {study.study, *(f"{study.study}_{figure}" for figure in study.figures)}
    for name, where in [(main.study, "study"), *((figure, f"figures.{figure}") for figure in main.figures)]:
        if name in taken:
            raise UserError(f"{where}: the name {name!r} is taken, by a step or a study; choose another")
        taken.add(name)


def trust_code(config: dict[str, Any], overrides: Mapping[str, Any]) -> tuple[bool, dict[str, Any], dict[str, Any]]:
    """Whether `trust=code` was said, and config and overrides without it. UserError for another value."""
    value = overrides.get("trust", config.get("trust"))
    if value not in (None, "code"):
        raise UserError(f"trust: found {value!r}; trust=code accepts results of other code for this invocation")
    rest = [{key: each for key, each in mapping.items() if key != "trust"} for mapping in (config, overrides)]
    return value == "code", *rest
