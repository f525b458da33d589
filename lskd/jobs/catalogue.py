"""Every job of every study: one builder a stage, which gives spec, inputs and the functions that run. No torch.

Rules, command line, provenance, `why` and the address all read the jobs made here.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lskd.data.content import content
from lskd.data.pictures import has_own_split
from lskd.errors import UserError
from lskd.io.seal import file_digest
from lskd.jobs.job import Job
from lskd.jobs.results import Results
from lskd.study import config, runs
from lskd.study import registry as tables
from lskd.study.config import Data, Distill, Figure, Labels, Model, Study
from lskd.study.runs import Member, Run

PROBE_SAMPLES, PROBE_DRAWS = 600, 5  # 300 training images of each of two classes, 5 draws (Mueller 2019, A.2)
PAPERS = Path(__file__).resolve().parents[1] / "papers"


class Catalogue:
    """The jobs of some studies, by name of the study; each is made when it is asked for, and once."""

    def __init__(self, studies: dict[str, Study], results: Results, write_cache: bool = False) -> None:
        self.studies, self.results, self.write_cache = studies, results, write_cache
        self.by_folder: dict[str, Job] = {}  # every job made so far, by its folder below results/
        self.notes: list[str] = []
        self._members: dict[str, list[Member]] = {}
        self._jobs: dict[Any, Job] = {}

    def members(self, study: str) -> list[Member]:
        """The runs of a study."""
        if study not in self._members:
            self._members[study] = runs.members(self.studies[study])
        return self._members[study]

    def shown(self, study: str, figure: str) -> list[Member]:
        """The runs that a figure shows."""
        return runs.select(self.members(study), self.studies[study].figures[figure])

    def everything(self) -> Iterable[Job]:
        """All jobs of all studies, those above a figure too."""
        for study in self.studies.values():
            for figure in study.figures:
                yield from ancestors(self.figure(study.study, figure))

    def data(self, data: Data) -> Job:
        """A data set, prepared; its spec holds the digest of its content."""
        if data not in self._jobs:
            spec = config.spec(data)
            if data.dataset == "imagefolder" and has_own_split(Path(data.root)):
                del spec["test_fraction"]
            spec = self._with_content(data, spec)
            functions = {"run": "lskd.data.prepare:run", "load": tables.DATASETS[data.dataset]}
            self._jobs[data] = self._job("data", data.folder, spec, {}, functions)
            self._jobs[data].place = data.root
        return self._jobs[data]

    def _with_content(self, data: Data, spec: dict[str, Any]) -> dict[str, Any]:
        """A data set's spec with what identifies its content; of a folder that is gone, the spec of its last result."""
        if data.dataset == "imagefolder" and not Path(data.root).exists():
            without_split = {name: value for name, value in spec.items() if name != "test_fraction"}
            for record in self.results.latest("data", data.folder):
                if {name: value for name, value in record["spec"].items() if name != "content"} in (
                    spec,
                    without_split,
                ):
                    self.notes.append(
                        f"data: {data.root} is not there; what was prepared from it on {record['made']} stands"
                    )
                    return dict(record["spec"])
        cache = self.results.root / ".cache" / "content"
        return spec | {"content": content(data.dataset, data.root, cache, self.write_cache)}

    def train(self, run: Run) -> Job:
        """A network trained on labels, or on a teacher's stored logits, or beside the teacher itself."""
        if run not in self._jobs:
            inputs, recipe = {"data": self.data(run.data)}, run.recipe
            functions = {
                "model": model_entry(run.model),
                "loss": loss_entry(run),
                "schedule": tables.SCHEDULES[recipe.schedule],
                "optimizer": tables.OPTIMIZERS[recipe.optimizer],
            }
            spec = run.spec
            if run.teacher is None:
                functions["run"] = "lskd.training.loop:run"
            elif isinstance(run.supervision, Distill) and run.supervision.views == "online":
                functions |= {
                    "run": "lskd.training.distill:run_online",
                    "teacher_model": model_entry(run.teacher.model),
                }
                inputs["teacher"] = self.train(run.teacher)
                spec = spec | {"teacher": self._used_weights(run.teacher)}
            else:
                functions["run"] = "lskd.training.distill:run"
                inputs["teacher"] = self.teacher_logits(run)
            self._jobs[run] = self._job("train", run.title, spec, inputs, functions)
        return self._jobs[run]

    def predict(self, run: Run) -> Job:
        """What a trained network says of the clean images."""
        key = ("predict", run)
        if key not in self._jobs:
            self._jobs[key] = self._forward("predict", run, run.title, {})
        return self._jobs[key]

    def teacher_logits(self, student: Run) -> Job:
        """The logits of a student's teacher on the images that the student sees, shared by all that see the same."""
        assert student.teacher is not None
        assert isinstance(student.supervision, Distill)
        teacher, slug = student.teacher, runs.store_slug(student)
        key = ("teacher_logits", teacher, slug)
        if key not in self._jobs:
            draws = runs.stored_draws(student)
            spec: dict[str, Any] = {"draws": draws[-1], "dtype": student.supervision.dtype}
            if draws != [0]:
                spec |= {"augment": runs.augment_spec(student.recipe), "pixels": student.spec["pixels"]}
            self._jobs[key] = self._forward("teacher_logits", teacher, f"{teacher.title}/{slug}", spec)
        return self._jobs[key]

    def snapshots(self, run: Run, classes: list[str]) -> Job:
        """The logits of a run's snapshots on training images of two classes."""
        key = ("snapshots", run, tuple(classes))
        if key not in self._jobs:
            spec: dict[str, Any] = {"classes": classes, "samples": PROBE_SAMPLES, "draws": PROBE_DRAWS}
            spec |= {"augment": runs.augment_spec(run.recipe), "pixels": run.spec["pixels"]}
            self._jobs[key] = self._forward("snapshots", run, f"{run.title}/snapshots", spec)
        return self._jobs[key]

    def metrics(self, study: str, figure: str, family: str) -> Job:
        """A metric family over the runs that a figure shows."""
        key = ("metrics", study, figure, family)
        if key not in self._jobs:
            options = self.studies[study].figures[figure]
            members = self.shown(study, figure)
            spec: dict[str, Any] = {"family": family}
            if family == "complexity":
                models = {runs.model_slug(member.run.model): member.run.model for member in members}
                spec["models"] = {slug: runs.model_spec(model) for slug, model in models.items()}
                functions = {f"model {slug}": model_entry(model) for slug, model in models.items()}
                inputs: dict[str, Job] = {}
                functions["run"] = "lskd.inference.complexity:run"
            else:
                metric = tables.METRICS[family]
                spec["options"] = {key: value for key in metric.options if (value := getattr(options, key))}
                spec["rows"] = [member.row for member in members]
                inputs = self._read_by(metric, members, study, figure)
                functions = {"run": "lskd.metrics.measure:run", "measure": metric.entry}
            title = f"{self.studies[study].scale}/{study}/{figure}/{family}"
            self._jobs[key] = self._job("metrics", title, spec, inputs, functions)
        return self._jobs[key]

    def figure(self, study: str, figure: str) -> Job:
        """A figure with its numbers, from its metrics."""
        key = ("figure", study, figure)
        if key not in self._jobs:
            options, scale = self.studies[study].figures[figure], self.studies[study].scale
            kind = tables.FIGURES[options.kind]
            spec: dict[str, Any] = {"kind": options.kind, "study": study, "figure": figure, "scale": scale}
            spec["options"] = {name: value for name in kind.options if (value := getattr(options, name))}
            spec["papers"] = _papers(study, *kind.papers)
            inputs = {family: self.metrics(study, figure, family) for family in kind.families}
            functions = {"run": "lskd.figures.render:run", "table": f"{kind.module}:table"}
            functions["draw"] = f"{kind.module}:draw"
            self._jobs[key] = self._job("figure", f"{scale}/{study}/{figure}", spec, inputs, functions)
        return self._jobs[key]

    def _read_by(self, metric: tables.Metric, members: list[Member], study: str, figure: str) -> dict[str, Job]:
        """What a metric family reads: of each run, of its teacher where that counts, and the names of the classes."""
        inputs: dict[str, Job] = {}
        for member in members:
            run = member.run
            inputs[f"data {run.data.folder}"] = self.data(run.data)
            inputs[f"{metric.reads} {run.title}"] = self._read(metric.reads, run, study, figure)
            if run.teacher and metric.teacher_reads:
                inputs[f"{metric.teacher_reads} {run.teacher.title}"] = self._read(
                    metric.teacher_reads, run.teacher, study, figure
                )
        return inputs

    def _read(self, stage: str, run: Run, study: str, figure: str) -> Job:
        if stage == "snapshots":
            where = f"{study}: figures.{figure}"
            return self.snapshots(run, classes_of_snapshots(where, self.studies[study].figures[figure], run))
        return self.train(run) if stage == "train" else self.predict(run)

    def _forward(self, stage: str, run: Run, title: str, spec: dict[str, Any]) -> Job:
        """A job that runs a trained network over images."""
        inputs = {"data": self.data(run.data), "weights": self.train(run)}
        functions = {"run": f"lskd.inference.{stage}:run", "model": model_entry(run.model)}
        weights = {"model": runs.model_spec(run.model)} if stage == "snapshots" else self._used_weights(run)
        return self._job(stage, title, spec | weights, inputs, functions)

    def _used_weights(self, run: Run) -> dict[str, Any]:
        """The network and the weights file that stand for a run: its last epoch's, or the best on val."""
        file = {"last": "model.safetensors", "best": "best.safetensors"}[run.recipe.select]
        return {"model": runs.model_spec(run.model), "weights": file}

    def _job(
        self, stage: str, title: str, spec: dict[str, Any], inputs: dict[str, Job], functions: dict[str, str]
    ) -> Job:
        job = Job(stage, title, spec, inputs, functions, self.results)
        # two studies that ask for one run share it
        return self.by_folder.setdefault(job.below, job)


def ancestors(job: Job) -> list[Job]:
    """A job and all that it is made of, each once, before what is made of it."""
    order: dict[Job, None] = {}

    def visit(job: Job) -> None:
        if job not in order:
            for upstream in job.inputs.values():
                visit(upstream)
            order[job] = None

    visit(job)
    return list(order)


def _papers(*names: str) -> dict[str, str]:
    """The digests of the published numbers of papers, as far as these names are papers'."""
    paths = {name: PAPERS / f"{name}.yaml" for name in names}
    return {name: file_digest(path) for name, path in paths.items() if path.is_file()}


def classes_of_snapshots(where: str, figure: Figure, run: Run) -> list[str]:
    """The classes of a figure of mutual information, checked together with the run's recipe."""
    classes = sorted(set(figure.classes))
    if len(classes) != 2:
        raise UserError(f"{where}.classes: found {len(classes)}, mutual information takes 2; name two classes")
    if not run.recipe.snapshot_epochs:
        raise UserError(
            f"{where}: needs the course of training; give recipes.{run.recipe_name} some snapshot_epochs, or name"
            " groups whose recipe has them"
        )
    return classes


def model_entry(model: Model) -> str:
    """The function that builds a model."""
    return tables.MODELS.get(model.name, tables.TORCHVISION)


def loss_entry(run: Run) -> str:
    """The function of a run's loss."""
    if isinstance(run.supervision, Labels):
        return tables.LOSSES["smoothed_cross_entropy" if run.supervision.label_smoothing else "cross_entropy"]
    return tables.LOSSES[run.supervision.loss]
