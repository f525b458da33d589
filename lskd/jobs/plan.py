"""What an invocation has to do: which jobs have no result, why, and what is published when they have."""

import os
import re
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lskd.errors import UserError
from lskd.figures import study_page
from lskd.fingerprint import definitions as fingerprint
from lskd.io.atomic import atomic, sweep, write_text
from lskd.io.layout import FILES, JOBS, ROOMS
from lskd.io.seal import checked, read_record, sealed
from lskd.jobs import checks, looks, why
from lskd.jobs.catalogue import Catalogue, ancestors
from lskd.jobs.job import Job
from lskd.study.config import Study, canonical
from lskd.study.studies import targets

_NAMED = 6  # changes that a note names
COSTS = {"train": 10.0, "teacher_logits": 3.0, "predict": 2.0, "translate": 4.0}  # of a job, against 1 of any other


class Plan:
    """The jobs behind the targets that an invocation asks for."""

    def __init__(self, main: Study, catalogue: Catalogue, overrides: Mapping[str, Any]) -> None:
        self.main, self.catalogue, self.results = main, catalogue, catalogue.results
        self.overrides = overrides
        self.names = targets(main, catalogue.studies)
        self.wanted: list[tuple[str, str]] = []  # pairs of study and figure
        self.by_name: set[tuple[str, str]] = set()  # those of them that have a target of their own
        self.by_path: list[Job] = []  # what is asked for by the path of a file
        self.planned = time.time_ns()
        self.pending: list[Job] | None = None  # the jobs to do for them, each after what it reads

    def ask(self, names: Iterable[str], dry: bool = False) -> None:
        """Plan these targets, the config's study unless there is one. UserError for what cannot come to an end.

        Where nothing will be made (`dry`) data may be missing: notes say what.
        """
        self.want(names)
        checks.asked(self)
        self.pending = self.to_do()
        if missing := checks.missing_extra(self.pending):
            self._leave_out(missing)
        checks.own_data(self.pending)
        lacking = list(dict.fromkeys(job.lacks for job in self.pending if job.lacks))
        if lacking and not dry:
            raise UserError(lacking[0] + (f" (and {len(lacking) - 1} more)" if lacking[1:] else ""))
        self.catalogue.notes += lacking
        fingerprint.keep()  # before jobs begin, which ask for the same

    def _leave_out(self, missing: str) -> None:
        """Leave out of a whole study the figures that need what is not installed, with a note.

        Raises UserError where such a figure is asked for itself, or nothing else is.
        """
        pending = set(self.pending or [])
        blocked = [
            pair
            for pair in self.wanted
            if any(checks.is_of_translation(job) for job in ancestors(self.catalogue.figure(*pair)) if job in pending)
        ]
        rest = [pair for pair in self.wanted if pair not in blocked]
        if not rest or self.by_path or any(pair in self.by_name for pair in blocked):
            raise UserError(missing)
        listed = ", ".join(name for name, pairs in self.names.items() if len(pairs) == 1 and pairs[0] in blocked)
        self.catalogue.notes.append(f"left out: {listed}; {missing}")
        self.wanted = rest
        self.pending = self.to_do()

    def want(self, names: Iterable[str]) -> None:
        """Set what is asked for: targets by name, results by a path; without these the study of the config."""
        names = list(names)
        folders = [below for name in names if (below := self._below(name))]
        self.by_path = [self.job(folder) for folder in folders]
        known = [name for name in names if name in self.names] or [self.main.study] * (not folders)
        self.wanted = [pair for name in known for pair in self.names[name]]
        self.by_name = {self.names[name][0] for name in names if name in self.names and len(self.names[name]) == 1}

    def _below(self, path: str) -> str:
        """The folder below results/ of the job that a path lies in; "" for what is no such path."""
        rooms = "|".join(ROOMS.values())
        root = re.escape(str(self.results.root))
        match = re.match(rf"{root}/((?:{rooms})/.+?-[0-9a-f]{{10}})/[^/]+$", path)
        return match[1] if match else ""

    def figures(self, name: str) -> list[str]:
        """The files of a target's figures, as Snakemake waits for them."""
        return [str(path) for pair in self._wanted(name) for path in self.catalogue.figure(*pair).paths]

    def _wanted(self, name: str) -> list[tuple[str, str]]:
        return [pair for pair in self.names[name] if pair in self.wanted]

    def waits_for(self, folder: str) -> list[str]:
        """A missing file of each job that is read and not made yet, but for what these wait for themselves."""
        missing = {above: path for above in self.job(folder).inputs.values() if (path := self.results.missing(above))}
        waited = {deeper for above in missing for deeper in above.inputs.values()}
        return [path for above, path in missing.items() if above not in waited]

    def job(self, folder: str) -> Job:
        """The job of a folder below results/; UserError where no study has it."""
        if folder not in self.catalogue.by_folder:
            list(self.catalogue.everything())
        if folder not in self.catalogue.by_folder:
            raise UserError(f"{self.results.root / folder}: no study asks for this result; python -m lskd ls shows all")
        return self.catalogue.by_folder[folder]

    def to_do(self) -> list[Job]:
        """The jobs that have no result yet for what is wanted, each after what it reads."""
        order: dict[Job, None] = {}

        def visit(job: Job) -> None:
            if job in order or self.results.is_complete(job):
                return
            for above in job.inputs.values():
                visit(above)
            order[job] = None

        for job in [*self.by_path, *(self.catalogue.figure(*pair) for pair in self.wanted)]:
            visit(job)
        return list(order)

    def write_jobs(self) -> None:
        """Tell each job's process what to make; a job file is a function of its address, its time of the plan."""
        for job in self.pending or []:
            self._write_job(job)

    def write_job_of(self, log: str) -> None:
        """The same of the job with a log, which may be made and gone again since the plan: Snakemake removes what a
        job wrote that a cluster calls failed, and who makes a result takes its job file away.
        """
        self._write_job(self.job(self._below(log)))

    def _write_job(self, job: Job) -> None:
        path, text = self.job_file(job.folder.name), canonical(sealed(job.described()))
        if not path.exists() or path.read_bytes() != text.encode():  # damaged, or its data lay elsewhere
            write_text(path, text)
        with suppress(OSError):  # another user's, or just made; else jobs of one plan may advance as one
            os.utime(path, ns=(self.planned, self.planned))

    def job_file(self, folder: str) -> Path:
        """Where the job of a folder is told, by the address that the folder ends in."""
        return self.results.root / JOBS / f"{folder[-10:]}.json"

    def publish(self) -> None:
        """Put what people open by name in place: the figures asked for, as far as made, and their study's page.

        A published file that is of another address is published anew. The look at a verdict is recorded first. Raises
        UserError, after all the others are published, for what is damaged or cannot be written.
        """
        errors = []
        by_path = [(job.spec["study"], job.spec["figure"]) for job in self.by_path if job.stage == "figure"]
        for study, figure in dict.fromkeys([*self.wanted, *by_path]):
            job = self.catalogue.figure(study, figure)
            if all(path.exists() for path in job.paths):
                try:
                    looks.record(self.catalogue, study, figure)
                    if (study, figure) in self.wanted:
                        self._publish(job, self.published(study, figure))
                except UserError as error:
                    errors.append(str(error))
        if errors:
            raise UserError(errors[0] + (f" (and {len(errors) - 1} more)" if errors[1:] else ""))
        for study in self._asked_studies():
            self._publish_page(study)

    def published(self, study: str, figure: str) -> Path:
        """Where a figure is found by name, without ending."""
        return self.results.root / "figures" / self.catalogue.studies[study].scale / study / figure

    def _publish(self, job: Job, stem: Path) -> None:
        for name in FILES["figure"]:
            source, target = job.folder / name, stem.with_name(f"{stem.name}.{name.removeprefix('figure.')}")
            content = source.read_bytes()
            if not target.exists() or target.read_bytes() != content:
                checked(source, job.folder)
                with atomic(target) as tmp:
                    tmp.write_bytes(content)
        sweep(stem.parent)

    def _asked_studies(self) -> list[str]:
        return list(dict.fromkeys(study for study, _ in self.wanted))

    def _publish_page(self, study: str) -> None:
        """The page of a study, with all its figures that are made, asked for now or before."""
        drawn, missing = self._drawn(study)
        if drawn:
            text = study_page.study_page(self._title(study), [study_page.read(job.folder) for job in drawn], missing)
            path = self.published(study, study_page.PAGE)
            if not path.exists() or path.read_bytes() != text.encode():
                write_text(path, text)

    def _drawn(self, study: str) -> tuple[list[Job], list[str]]:
        """The jobs of a study's figures that are made, and the names of the others."""
        drawn, missing = [], []
        for figure in self.catalogue.studies[study].figures:
            try:
                job = self.catalogue.figure(study, figure)
            except UserError:  # of a figure that was not asked for, such as one whose data is gone
                missing.append(figure)
                continue
            if all(path.exists() for path in job.paths):
                drawn.append(job)
            else:
                missing.append(figure)
        return drawn, missing

    def opening(self) -> str:
        """What Snakemake's report opens on: each study that is asked for, with its figures that are, as HTML."""
        studies = []
        for study in self._asked_studies():
            jobs = [self.catalogue.figure(name, figure) for name, figure in self.wanted if name == study]
            studies.append(study_page.opening(self._title(study), [study_page.read(job.folder) for job in jobs]))
        return "\n".join([study_page.report_style(), *studies])

    def caption(self, folder: str) -> str:
        """What Snakemake's report says beside a figure, as HTML."""
        return study_page.caption(study_page.read(self.results.root / ROOMS["figure"] / folder))

    def announcement(self) -> list[str]:
        """What is planned and why, what stands by trust, and what was left alone."""
        return [*(why.told(self.pending or []) or ["nothing to do: all that is asked for is there"]), *self.notes()]

    def notes(self) -> list[str]:
        """What a user should know of what is taken as given."""
        notes = [f"note: {text}" for text in self.catalogue.notes]
        keys = sorted(self.overrides.keys() - {"scale", "runtime"})
        papers = sorted({study for study, _ in self.wanted} - {self.main.study})
        if papers and keys:
            notes.append(f"note: {', '.join(papers)}: a paper's study, which --config {', '.join(keys)} does not touch")
        return [*notes, *([self._trust_note()] if self.results.trusted else [])]

    def _trust_note(self) -> str:
        trusted = self.results.trusted.values()
        changes = {change for job, record in trusted for change in _since(job, record)}
        first = sorted(changes, key=lambda change: (not change.endswith(" changed"), change))[:_NAMED]
        more = f"; and {len(changes) - len(first)} more" if len(changes) > len(first) else ""
        commits = ", ".join(sorted({record["commit"][:12] for _, record in trusted}))
        return (
            f"note: trust=code: {len(trusted)} results made by other code (commit {commits}) stand for today's;"
            f" since then: {'; '.join(first) or 'no definition that they name'}{more}"
        )

    def labels(self, folder: str, form: str) -> dict[str, str]:
        """What tells a figure's entries in the report apart."""
        scale, name, figure = folder[:-11].split("/")
        study = self.catalogue.studies[name]
        rows = [member.row for member in self.catalogue.members(name)]
        alphas = sorted({row["label_smoothing"] for row in rows})
        degrees = sorted({row["temperature"] for row in rows if row["temperature"] is not None})
        return {
            "figure": figure,
            "alpha": ", ".join(f"{alpha:g}" for alpha in alphas),
            "T": ", ".join(f"{T:g}" for T in degrees) or "none",
            "data": study.data.folder,
            "scale": scale,
            "as": form,
        }

    def heading(self, folder: str) -> str:
        """A study's title in the report; no job depends on it."""
        return self._title(folder.split("/")[1])

    def _title(self, name: str) -> str:
        study = self.catalogue.studies[name]
        return study.name or study.study

    def costs(self) -> list[tuple[str, float, Path]]:
        """For the live line: each job's address, what it costs against others, and by which file it is done."""
        return [(job.address, _cost(job), job.paths[-1]) for job in self.pending or []]

    def answers(self) -> list[str]:
        """What the figures that were asked for and are made answer in words, and whether their runs mix."""
        jobs = [self.catalogue.figure(*pair) for pair in self.wanted]
        records = [read_record(job.folder) for job in jobs if job.paths[-1].exists()]
        return [record["notes"]["answer"] for record in records if "answer" in record["notes"]]


def _since(job: Job, record: dict[str, Any]) -> list[str]:
    """What changed since a result was made, of its own code and of all above it."""
    changes = why.code_changes(record["definitions"], job.definitions)
    now: dict[str, set[str]] = {}
    for above in ancestors(job)[:-1]:
        for name, value in above.definitions.items():
            now.setdefault(name, set()).add(value)
    for name, values in record["upstream"].items():
        if name in now and set(values) != now[name]:
            changes.append(f"{name} changed")
    return changes


def _cost(job: Job) -> float:
    recipe = job.spec.get("recipe", {})
    length = recipe.get("epochs", recipe.get("updates", 10) / 10) / 10 if job.stage == "train" else 1.0
    return COSTS.get(job.stage, 1.0) * length
