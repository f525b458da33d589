"""What can be told wrong before anything starts: the places of a user's own data, and the figures asked for."""

import os
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from lskd.data import layouts
from lskd.data.class_names import class_names, subset_labels
from lskd.errors import UserError
from lskd.jobs.job import Job
from lskd.jobs.needs import Shown, check
from lskd.study import registry, runs
from lskd.study.config import Data

if TYPE_CHECKING:
    from lskd.jobs.plan import Plan

OF_TRANSLATION = ("fairseq", "sacrebleu", "sentencepiece")
MOST_ENTRIES = 20_000  # of a class's folder, looked at for its first image
_PROJECT = ("Snakefile", "pyproject.toml", "setup.py", "package.json")  # of a folder of code; data may have a .git
_SYSTEM = ("/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/opt", "/proc", "/run", "/sbin", "/sys", "/usr", "/var")
_IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm")


def asked(plan: "Plan") -> None:
    """The data and the figures of the targets, before a file of the data is read."""
    for study in dict.fromkeys(study for study, _ in plan.wanted):
        for data in _all_data(plan, study):
            own_root(data)
    for study, figure in plan.wanted:
        check(_shown(plan, study, figure))


def own_data(pending: list[Job]) -> None:
    """A user's own data, looked at where they are still to be read."""
    for job in pending:
        if job.stage == "data" and registry.DATASETS[job.spec["dataset"]].is_own:
            layouts.check(job.spec["dataset"], Path(job.place))


def missing_extra(pending: list[Job]) -> str:
    """What jobs need that is not installed with the rest, and how to mend it; "" where nothing is missing."""
    missing = [name for name in OF_TRANSLATION if find_spec(name) is None]
    if not missing or not any(is_of_translation(job) for job in pending):
        return ""
    return f"translation needs {', '.join(missing)}, not installed here: make .venv/translation.ok"


def is_of_translation(job: Job) -> bool:
    """Whether a job's process needs fairseq or what comes with it."""
    own = job.functions["run"].startswith("lskd.translation.")
    return own or any(above.stage == "translate" for above in job.inputs.values())


def own_root(data: Data) -> None:
    """Refuse a place that is surely no data set, before its every file is read; nothing is to be deleted there."""
    root = Path(data.root)
    try:
        if not root.is_dir() or not data.is_own:
            return  # lskd/data/layouts.py says what is wrong, or what was prepared stands for it
        what = _no_data(root.resolve())
        if what:
            raise UserError(
                f"data: found {data.root!r}, {what}; put the images in a folder of their own, one subfolder a class,"
                " and give that folder"
            )
        if data.dataset == "imagefolder":
            _look_for_images(root)
    except OSError as error:
        raise UserError(
            f"data: found {data.root!r:.80}, which cannot be read ({error.strerror}); give a folder that can"
        ) from None


def _no_data(root: Path) -> str:
    """What a folder is where it is surely no data set; else ""."""
    here = Path.cwd().resolve()
    if root == Path(root.anchor):
        return "the root of the file system"
    if root == Path.home():
        return "a home"
    if root == here:
        return "the folder that snakemake runs in"
    if root in here.parents:
        return "a folder above this checkout"
    if str(root) in _SYSTEM:
        return "a folder of the system"
    mark = next((name for name in _PROJECT if (root / name).exists()), "")
    return f"a folder of code (it holds {mark})" if mark else ""


def _look_for_images(root: Path) -> None:
    """Refuse a class without an image, and a large tree that shows none among its first entries."""
    with os.scandir(root) as entries:
        folders = sorted(entry.path for entry in entries if entry.is_dir() and not entry.name.startswith("."))
    left = MOST_ENTRIES
    for folder in folders:
        has_image, looked_at = _first_image(folder, left)
        left -= looked_at
        if has_image:
            continue
        what = "no image" if left > 0 else f"no image among the first {looked_at:,} entries"
        raise UserError(
            f"{folder}: {what} in this class; put .png or .jpg files there, or give as data a folder that holds one"
            " subfolder of images a class"
        )


def _first_image(folder: str, most: int) -> tuple[bool, int]:
    """Whether a folder holds an image among its first entries, and how many entries were looked at."""
    looked_at = 0
    for _, inner, names in os.walk(folder):
        inner[:] = [name for name in inner if not name.startswith(".")]
        if any(name.lower().endswith(_IMAGES) and not name.startswith(".") for name in names):
            return True, looked_at
        looked_at += len(names) + len(inner)
        if looked_at >= most:
            break
    return False, looked_at


def _all_data(plan: "Plan", study: str) -> list[Data]:
    """The data of a study's runs."""
    return list({id(member.run.data): member.run.data for member in plan.catalogue.members(study)}.values())


def _shown(plan: "Plan", study: str, figure: str) -> Shown:
    """A figure with what is known of its runs."""
    options = plan.catalogue.studies[study].figures[figure]
    members = plan.catalogue.members(study)
    in_groups = [member for member in members if not options.groups or member.group in options.groups]
    data = {member.run.data.folder: member.run.data for member in in_groups}
    classes = {name: names for name, each in data.items() if (names := _classes(plan, each)) is not None}
    return Shown(
        where=f"figures.{figure}" if study == plan.main.study else f"{study}: figures.{figure}",
        kind=options.kind,
        options=dict(options),
        rows=[member.row for member in runs.select(members, options)],
        at_any_t=[member.row for member in in_groups],
        classes=classes,
    )


def _classes(plan: "Plan", data: Data) -> tuple[str, ...] | None:
    """The class names of a data set: published, those of its folders, or of what was prepared; None if not known."""
    if data.task == registry.TRANSLATION:
        return None
    if not data.is_own or data.dataset == "imagefolder":
        names, subset = class_names(data.dataset, Path(data.root), data.used.get("classes")), data.class_subset
        if names is not None:
            return names if subset is None else tuple(names[label] for label in subset_labels(names, subset))
    return _prepared_classes(plan, data)


def _prepared_classes(plan: "Plan", data: Data) -> tuple[str, ...] | None:
    if not Path(data.root).exists() and not plan.catalogue.results.root.exists():
        return None
    try:
        job = plan.catalogue.data(data)
    except UserError:  # told where the job is planned
        return None
    if not plan.catalogue.results.is_complete(job):
        return None
    from lskd.data.classes import read_classes  # needs NumPy, and is rarely needed

    return tuple(read_classes(job.folder / "data.safetensors"))
