"""From the config to what the rules look up. Runs at every parse, so it imports no torch and writes nothing."""

import functools
import json
import os
import shlex
import sys
from pathlib import Path

from lskd import config as keys
from lskd import fingerprint, runs, stage, studyfile, tables
from lskd.data import pictures
from lskd.errors import UserError
from lskd.files import write_json


def read_studies():
    """The config's own study, then those of the papers that have this scale."""
    for path in workflow.configfiles:
        studyfile.read(path)  # for what Snakemake's own reading lets pass, such as a key given twice
    main = studyfile.parse(config, told=workflow.config_settings.config)
    found = {main.study: main}
    for path in sorted(Path(workflow.basedir, "workflow/studies").glob("*.yaml")):
        raw = studyfile.read(path)
        if main.scale in raw.get("scales", {}) and raw.get("study") not in found:
            made = studyfile.parse(raw, main.scale, source=path.name)
            found[made.study] = made.model_copy(update={"runtime": main.runtime})
    return main, found


def look_up_members():
    """Each study's runs. A paper's study that means another run by a folder of the config's is left out, with a note."""
    found = {}
    for name, study in STUDIES.items():
        own = runs.members(study)
        try:
            runs.check_paths([member.run for member in [*found.get(MAIN.study, []), *own]])
        except UserError as error:
            print(f"note: {name} is left out, as this config differs from it: {error}", file=sys.stderr)
        else:
            found[name] = own
    return found


def check_targets():
    """A study and each of its figures is a target by name; a step's name, or a name twice, would hide one of them."""
    taken = {"all", "data", "train", "distill", "dump", "views", "probe", "plan", "metrics", "complexity", "figure"}
    for study in [study for study in STUDIES.values() if study is not MAIN]:
        taken |= {study.study, *(f"{study.study}_{figure}" for figure in study.figures)}
    for name, where in [(MAIN.study, "study"), *((figure, f"figures.{figure}") for figure in MAIN.figures)]:
        if name in taken:
            raise UserError(f"{where}: the name {name!r} is taken, by a step or a study; choose another")
        taken.add(name)


def check_pictures():
    """A user's own pictures, looked at before anything starts; not where only figures are drawn from their metrics."""
    for data in DATASETS.values():
        made = Path(f"results/{data.folder}/data.safetensors"), Path(f"results/metrics/{MAIN.scale}/{MAIN.study}")
        if data.dataset == "imagefolder" and not any(path.exists() for path in made):
            pictures.check(Path(data.root))
            for path in own_pictures(data):
                if set(str(path)) & set("{}"):
                    raise UserError(f"data: {path}: a brace in a name means a wildcard to Snakemake; rename it")


def check_verdicts():
    """A verdict needs students of both kinds of teacher; told here, as its own step comes after all training."""
    for name, figure in MAIN.figures.items():
        if figure.kind == "verdict":
            rows = [member.row for member in runs.shown(MEMBERS[MAIN.study], figure)]
            there = sorted({row["label_smoothing"] for row in rows if row["role"] == "student"})
            if not there or there[0] > 0 or there[-1] == 0:
                found = ", ".join(f"{alpha:g}" for alpha in there) or "no students"
                raise UserError(
                    f"figures.{name}: found students of teachers with label_smoothing {found}; a verdict compares 0 with"
                    " another: add it to the teachers, name the students' group in groups, or leave the figure out"
                )


def untouched():
    """The papers' targets that were asked for while something was told that they do not take."""
    told = sorted(workflow.config_settings.config.keys() - {"scale", "runtime"})
    papers = STUDIES.keys() - {MAIN.study}
    asked = [name for name in workflow.dag_settings.targets if str(name).split("_")[0] in papers]
    if asked and told:
        yield f"{', '.join(asked)}: a paper's study, which --config {', '.join(told)} does not touch"


def look_up_runs():
    """Every run of every study by its folder."""
    found = [member.run for members in MEMBERS.values() for member in members]
    found += [run.teacher for run in found if run.teacher]
    runs.check_paths(found)
    return {run.path: run for run in found}


def code(stage, spec):
    """The fingerprint of the code that a stage uses for a spec."""
    return digest_of(tuple(runs.entry_points(stage, spec)))


@functools.cache
def digest_of(entry_points):
    """A fingerprint, looked up once: the code is what it was when planning began."""
    return fingerprint.code_digest(entry_points)


def job(stage, spec):
    """A job's identity as the arguments of its command: what it makes and the code that makes it, quoted for a shell."""
    return f"--spec {shlex.quote(keys.canonical(spec))} --code {code(stage, spec)}"


def look_up_probes():
    """The two classes on whose images a run is probed along its training, by the run's folder."""
    found = {}
    for study in STUDIES.values():
        for name, figure in study.figures.items():
            if "information" in tables.FIGURES[figure.kind].families:
                where = f"{study.study}: figures.{name}"
                for member in runs.shown(MEMBERS[study.study], figure):
                    classes = classes_to_probe(where, figure, member.run)
                    if found.setdefault(member.run.path, classes) != classes:
                        raise UserError(
                            f"{where}.classes: found {' and '.join(classes)}, but another figure probes {member.run.path}"
                            f" on {' and '.join(found[member.run.path])}; name the same, or give its recipe another name"
                        )
    return found


def classes_to_probe(where, figure, run):
    """The classes of a figure of mutual information, checked together with the run's recipe."""
    classes = sorted(set(figure.classes))
    if len(classes) != 2:
        raise UserError(f"{where}.classes: found {len(classes)}, mutual information takes 2; name two classes")
    if not run.recipe.snapshot_epochs:
        raise UserError(
            f"{where}: needs the course of training; give recipes.{run.recipe_name} some snapshot_epochs, or name groups"
            " whose recipe has them"
        )
    return classes


def probe_spec(wildcards):
    """What a run is probed on: 300 training images of each class, 5 augmented views (Mueller 2019, A.2)."""
    run = f"{wildcards.data}/{wildcards.run}"
    return {"run": RUNS[run].spec, "classes": PROBES[run], "samples": 600, "views": 5}


def complexity_spec(wildcards):
    """The networks that a figure counts, by their slugs; none of them needs to be trained."""
    found = runs.shown(MEMBERS[wildcards.study], figure_of(wildcards))
    return {"models": {runs.model_slug(member.run.model): keys.spec(member.run.model) for member in found}}


def teacher_file(run):
    """What a student learns from: its teacher's stored logits, or for online distillation its weights."""
    if run.supervision.views == "online":
        return f"results/{run.teacher.path}/model.safetensors"
    return f"results/{runs.views_file(run)}"


def views_spec(wildcards):
    """What a teacher's stored views depend on beside their files; every student that reads them says the same."""
    return runs.views_spec(VIEWS[f"{wildcards.data}/{wildcards.run}/logits/{wildcards.views}.parquet"])


def figure_of(wildcards):
    """The config of a figure."""
    return STUDIES[wildcards.study].figures[wildcards.figure]


def metrics_inputs(wildcards):
    """A file of each of its runs' folders, which stands for what a metric family reads there."""
    metric = tables.METRICS[wildcards.family]
    found = [member.run for member in runs.shown(MEMBERS[wildcards.study], figure_of(wildcards))]
    own = {f"results/{run.path}/{metric.needs}" for run in found}
    taught = {
        f"results/{run.teacher.path}/{metric.teacher_needs}" for run in found if run.teacher and metric.teacher_needs
    }
    data = {f"results/{run.data.folder}/data.safetensors" for run in found}  # for the names of the classes
    return sorted(own | taught | data)


def plan_rows(wildcards):
    """The identity of each run that a figure shows."""
    return [member.row for member in runs.shown(MEMBERS[wildcards.study], figure_of(wildcards))]


def metrics_spec(wildcards):
    """What a metric family depends on beside its files."""
    options = {k: v for k, v in keys.spec(figure_of(wildcards)).items() if k not in ("kind", "groups")}
    return {"family": wildcards.family, "options": options}


def figure_spec(wildcards):
    """What a picture depends on beside the metrics behind it."""
    options = {k: v for k, v in keys.spec(figure_of(wildcards)).items() if k != "kind"}
    named = {"study": wildcards.study, "figure": wildcards.figure, "scale": wildcards.scale}
    return {"kind": figure_of(wildcards).kind, "options": options | named}


def published_numbers(wildcards):
    """The numbers of the paper that a study repeats; none for other studies."""
    path = Path(workflow.basedir, f"lskd/papers/{wildcards.study}.yaml")
    return [os.path.relpath(path)] if path.is_file() else []


def figures_of(study):
    """The pictures and tables of a study."""
    return [file for figure in study.figures for file in figure_files(study, figure)]


def figure_files(study, figure):
    """A figure as pictures, as numbers, and as a table to look at and to paste."""
    stem = f"results/figures/{study.scale}/{study.study}/{figure}"
    return multiext(stem, ".png", ".html", ".svg", ".pdf", ".csv", ".md", ".tex")


def own_pictures(data):
    """A user's own pictures, compared by content; the published sets have fixed checksums of their own."""
    return listed(data.root) if data.dataset == "imagefolder" else []


@functools.cache
def listed(root):
    """The pictures in a folder, looked up once."""
    return pictures.pictures(Path(root))


def verdicts(since):
    """The pages with a verdict that are newer than a time, each with its sentences."""
    for study in STUDIES.values():
        for name, figure in study.figures.items():
            page = Path(f"results/figures/{study.scale}/{study.study}/{name}.md")
            if figure.kind == "verdict" and page.is_file() and page.stat().st_mtime > since:
                from lskd import verdict  # pandas, which planning does without

                yield f"{page}: {' '.join(verdict.sentences(verdict.from_csv(page.with_suffix('.csv'))))}"


def study_title(wildcards):
    """A study's heading in the report; no job depends on it."""
    study = STUDIES[wildcards.study]
    return study.name or study.study


def figure_labels(wildcards, what="picture"):
    """What tells a figure's entries in the report apart."""
    study = STUDIES[wildcards.study]
    groups = study.teachers | study.baselines
    alphas = sorted({alpha for group in groups.values() for alpha in group.label_smoothing})
    degrees = sorted({T for group in study.students.values() for T in group.temperature})
    return {
        "figure": wildcards.figure,
        "alpha": ", ".join(f"{alpha:g}" for alpha in alphas),
        "T": ", ".join(f"{T:g}" for T in degrees) or "none",
        "data": study.data.folder,
        "scale": wildcards.scale,
        "as": what,
    }


def data_of(wildcards):
    """The data set in a folder under results/."""
    return DATASETS[wildcards.data]


try:
    MAIN, STUDIES = read_studies()
    check_targets()
    MEMBERS = look_up_members()
    STUDIES = {name: STUDIES[name] for name in MEMBERS}
    RUNS = look_up_runs()
    PROBES = look_up_probes()
    DATASETS = {run.data.folder: run.data for run in RUNS.values()}
    if workflow.is_main_process:
        check_verdicts()
        check_pictures()
except UserError as error:
    sys.exit(f"error: {error}")

VIEWS = {runs.views_file(run): run for run in RUNS.values() if run.teacher and run.supervision.views != "online"}
GPU = int(stage.wants_gpu(MAIN.runtime))
stage.export(MAIN.runtime, workflow.basedir)
