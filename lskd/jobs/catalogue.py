"""Every job of every study: one builder a stage, which gives spec, inputs and the functions that run. No torch.

Rules, command line, provenance, `why` and the address all read the jobs made here.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lskd.errors import UserError
from lskd.io.seal import file_digest
from lskd.jobs import looks, register
from lskd.jobs.data_specs import of_data
from lskd.jobs.job import Job
from lskd.jobs.results import Results
from lskd.study import naming, registry, runs
from lskd.study.config import SUPERVISIONS, TRANSFORMS, Data, Figure, Model, Recipe, Study, Supervision, canonical
from lskd.study.options import Option, spec
from lskd.study.runs import Member, Run

SNAPSHOT_SAMPLES, SNAPSHOT_DRAWS = 600, 5  # 300 training images of each of two classes, 5 draws (Mueller 2019, A.2)
TAIL_TEMPERATURES = [1.0, 2.0, 3.0, 4.0, 8.0, 64.0]  # at which the sum over the tail of a top-k store is kept
BEAM, LENGTH_PENALTY = 4, 1.0
Spec = dict[str, Any]
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
        key = ("data", canonical(data.model_dump()))
        if key not in self._jobs:
            functions = {"load": registry.DATASETS[data.dataset].entry}
            if data.task == registry.TRANSLATION:
                stage, functions["run"] = "corpus", "lskd.translation.prepare:run"
                functions["files"] = f"{functions['load'].partition(':')[0]}:files"
            else:
                stage, functions["run"] = "data", "lskd.data.prepare:run"
            planned = of_data(data, stage, self.results, self.write_cache)
            self.notes += planned.notes
            self._jobs[key] = self._job(stage, data.folder, planned.spec, {}, functions)
            self._jobs[key].place, self._jobs[key].lacks = data.root, planned.lacks
        return self._jobs[key]

    def train(self, run: Run) -> Job:
        """A network trained on labels, or on a teacher's stored logits, or beside the teacher itself; or one given."""
        run = run.whole
        if run not in self._jobs:
            if run.recipe is None:
                self._jobs[run] = self._given(run)
            elif run.data.task == registry.TRANSLATION:
                self._jobs[run] = self._translator(run)
            else:
                self._jobs[run] = self._trained(run, run.recipe)
        return self._jobs[run]

    def _translator(self, run: Run) -> Job:
        """A translator, trained as other networks are, by fairseq."""
        inputs, values = {"data": self.data(run.data)}, run.spec
        functions = {"run": "lskd.translation.train:run", "model": model_entry(run.model)}
        if SUPERVISIONS[run.supervision.way].form != "full":  # whose loss is fused with how it reads
            functions |= loss_entries(run.supervision)
        if run.teacher is not None and run.supervision.draws == "online":
            functions |= {"run": "lskd.translation.distill:run_online", "teacher_model": model_entry(run.teacher.model)}
            inputs["teacher"] = self.train(run.teacher)
            values = values | {"teacher": self._used_weights(run.teacher)}
        elif run.teacher is not None:
            functions["run"] = "lskd.translation.distill:run"
            inputs["teacher"] = self._translators_logits(run)
        if run.start is not None:
            inputs["start"] = self.train(run.start)
        return self._job("train", run.title, values, inputs, functions)

    def _translators_logits(self, student: Run) -> Job:
        """What is stored of a translator's predictions on train, shared by all students of this form of it."""
        assert student.teacher is not None
        assert student.recipe is not None
        teacher, supervision = student.teacher, student.supervision
        form, options = SUPERVISIONS[supervision.way].form, supervision.options
        values: Spec = {"form": form, "dtype": supervision.dtype, "tokens": spec(student.recipe)["tokens"]}
        slug = f"{naming.form_slug(supervision)}-by{values['tokens']}"
        if form == "top_k":
            values |= top_k_form(supervision)
            slug += naming.tail_slug(values["temperatures"], TAIL_TEMPERATURES)
        elif form == "sample":
            values["sampled"] = options["sampled"]
        key = ("teacher_logits", teacher, slug)
        if key not in self._jobs:
            self._jobs[key] = self._forward("teacher_logits", teacher, f"{teacher.title}/{slug}", values, {})
        return self._jobs[key]

    def translate(self, run: Run, course: bool, degrees: list[float]) -> Job:
        """What a translator says: its translations of val and test, and its next tokens, at some softmax temperatures.

        With `course`, of val alone and by its weights along training.
        """
        key = ("translate", run, course, tuple(degrees))
        if key not in self._jobs:
            values: Spec = {"beam": BEAM, "length_penalty": LENGTH_PENALTY, "temperatures": degrees}
            values |= {"splits": ["val"] if course else ["val", "test"], "fit": not course}
            values |= self._used_weights(run)
            slug = "-".join(["course"] * course + [f"t{degree:g}" for degree in degrees])
            if course:
                values["weights"] = "snapshots.safetensors"
            self._jobs[key] = self._forward("translate", run, f"{run.title}/{slug}", values, {})
        return self._jobs[key]

    def _trained(self, run: Run, recipe: Recipe) -> Job:
        inputs, values = {"data": self.data(run.data)}, run.spec
        functions = {
            "run": "lskd.training.loop:run",
            "model": model_entry(run.model),
            "schedule": registry.SCHEDULES[recipe.schedule].entry,
            "optimizer": registry.OPTIMIZERS[recipe.optimizer].entry,
        }
        functions |= loss_entries(run.supervision)
        functions |= augmentation_entries(recipe.augmentations) | stream_entry(run.data)
        if recipe.train_only == "last":
            functions["freeze"] = "lskd.training.frozen:train_last"
        if run.start is not None:
            functions["begin"] = "lskd.training.start:begin_with"
            inputs["start"] = self.train(run.start)
        if run.teacher is not None and run.supervision.draws == "online":
            functions |= {"run": "lskd.training.distill:run_online", "teacher_model": model_entry(run.teacher.model)}
            inputs["teacher"] = self.train(run.teacher)
            values = values | {"teacher": self._used_weights(run.teacher)}
            if run.teacher.data != run.data:
                inputs["teacher data"] = self.data(run.teacher.data)
                functions |= stream_entry(run.teacher.data)
                values["teacher"] |= _scale(run)
        elif run.teacher is not None:
            functions["run"] = "lskd.training.distill:run"
            if SUPERVISIONS[run.supervision.way].form == "top_k":
                functions |= {"run": "lskd.training.top_k:run", "soften": "lskd.supervision.kd_top_k:softened"}
            inputs["teacher"] = self.teacher_logits(run)
            functions |= transform_entries(run.supervision)
            if "fit" in functions:
                inputs["teacher predict"] = self.predict(run.teacher)
        functions |= fused_entries(recipe, functions)
        return self._job("train", run.title, values, inputs, functions)

    def _given(self, run: Run) -> Job:
        """A network in a user's own file."""
        assert run.checkpoint is not None
        file = run.checkpoint
        try:
            digest = file_digest(file.path)
        except OSError as error:
            raise UserError(
                f"start.checkpoint: found {file.path!r}, which cannot be read ({error.strerror}); name a state dict, "
                ".safetensors or .pt"
            ) from None
        values = run.spec | {"checkpoint": {"digest": digest, "keys": file.keys, "head": file.head}}
        room = "translation" if run.data.task == registry.TRANSLATION else "training"
        functions = {"run": f"lskd.{room}.start:run", "model": model_entry(run.model)} | stream_entry(run.data)
        job = self._job("train", run.title, values, {"data": self.data(run.data)}, functions)
        job.place = file.path
        return job

    def predict(self, run: Run) -> Job:
        """What a trained network says of the clean images."""
        key = ("predict", run)
        if key not in self._jobs:
            self._jobs[key] = self._forward("predict", run, run.title, {}, {})
        return self._jobs[key]

    def tested(self, run: Run) -> Job:
        """What first says anything of a run on test."""
        return self.translate(run, False, [1.0]) if run.data.task == registry.TRANSLATION else self.predict(run)

    def teacher_logits(self, student: Run) -> Job:
        """The logits of a student's teacher on the images that the student sees, shared by all that see the same."""
        assert student.teacher is not None
        assert student.recipe is not None
        teacher, draws = student.teacher, runs.stored_draws(student)
        slug, module, form, functions = naming.store_slug(student, draws), "", Spec(), dict[str, str]()
        if SUPERVISIONS[student.supervision.way].form == "top_k":
            module, form = "top_k_logits", top_k_form(student.supervision)
            functions = {"keep": "lskd.supervision.kd_top_k:top_k"}
            slug += naming.tail_slug(form["temperatures"], TAIL_TEMPERATURES)
        if draws != [0]:  # of pixels that the student's own seed draws
            slug += f"-for-{student.data.folder}" if _scale(student) else ""
            slug += f"-student{student.student}" if student.student else ""
        key = ("teacher_logits", teacher, slug)
        if key not in self._jobs:
            values: Spec = {"draws": draws[-1], "dtype": student.supervision.dtype} | form
            augmentations = []
            if draws != [0]:
                augmentations = student.recipe.augmentations
                values |= {"augment": runs.augment_spec(student.recipe), "pixels": student.spec["pixels"]}
                values |= _scale(student)
            functions |= augmentation_entries(augmentations)
            title = f"{teacher.title}/{slug}"
            self._jobs[key] = self._forward("teacher_logits", teacher, title, values, functions, module)
        return self._jobs[key]

    def snapshots(self, run: Run, classes: list[str]) -> Job:
        """The logits of a run's snapshots on training images of two classes."""
        key = ("snapshots", run, tuple(classes))
        if key not in self._jobs:
            assert run.recipe is not None
            augment = runs.augment_spec(run.recipe, mixes=False)
            values: Spec = {"classes": classes, "samples": SNAPSHOT_SAMPLES, "draws": SNAPSHOT_DRAWS}
            values |= {"augment": augment, "pixels": run.spec["pixels"]}
            functions = augmentation_entries(augment)
            self._jobs[key] = self._forward("snapshots", run, f"{run.title}/snapshots", values, functions)
        return self._jobs[key]

    def metrics(self, study: str, figure: str, family: str) -> Job:
        """A metric family over the runs that a figure shows."""
        key = ("metrics", study, figure, family)
        if key not in self._jobs:
            options = self.studies[study].figures[figure]
            members = self.shown(study, figure)
            values: Spec = {"family": family}
            if family == registry.COMPLEXITY:
                models = {naming.model_slug(member.run.model): member.run.model for member in members}
                values["models"] = {slug: runs.model_spec(model) for slug, model in models.items()}
                values |= self._small_images(study, figure)
                functions = {f"model {slug}": model_entry(model) for slug, model in models.items()}
                inputs: dict[str, Job] = {}
                functions["run"] = "lskd.inference.complexity:run"
            elif family == registry.DATA_CARD:
                data = {member.run.data.folder: member.run.data for member in members}
                values["data"] = list(data)
                inputs = {f"data {name}": self.data(each) for name, each in data.items()}
                functions = {"run": "lskd.metrics.data_card:run"}
            else:
                metric = registry.METRICS[family]
                values["options"] = options_of(options, metric.options)
                values["rows"] = [member.row for member in members]
                inputs = self._read_by(metric, members, study, figure)
                functions = {"run": "lskd.metrics.measure:run", "measure": metric.entry}
            title = f"{self.studies[study].scale}/{study}/{figure}/{family}"
            self._jobs[key] = self._job("metrics", title, values, inputs, functions)
        return self._jobs[key]

    def _small_images(self, study: str, figure: str) -> Spec:
        """The networks of a figure that are counted on small images, if any."""
        groups = dict(self.studies[study].figures[figure])["small_images"]
        members_shown = self.shown(study, figure)
        slugs = sorted({naming.model_slug(member.run.model) for member in members_shown if member.group in groups})
        return {"small_images": slugs} if slugs else {}

    def figure(self, study: str, figure: str) -> Job:
        """A figure with its numbers, from its metrics."""
        key = ("figure", study, figure)
        if key not in self._jobs:
            options, scale = self.studies[study].figures[figure], self.studies[study].scale
            kind = registry.FIGURES[options.kind]
            values: Spec = {"kind": options.kind, "study": study, "figure": figure, "scale": scale}
            values["options"] = options_of(options, kind.own_options)
            if kind.judges != "none":
                values["options"] |= looks.options(self, study, figure) | register.options(self, study, figure)
            values["papers"] = _papers(study, *kind.papers)
            families = kind.families_of(self.studies[study].task_shown(figure))
            inputs = {family: self.metrics(study, figure, family) for family in families}
            functions = {"run": "lskd.figures.render:run", "table": f"{kind.module}:table"}
            functions["draw"] = f"{kind.module}:draw"
            self._jobs[key] = self._job("figure", f"{scale}/{study}/{figure}", values, inputs, functions)
        return self._jobs[key]

    def _read_by(self, metric: registry.Metric, members: list[Member], study: str, figure: str) -> dict[str, Job]:
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
        options = self.studies[study].figures[figure]
        if stage == "translate":
            return self.translate(run, False, dict(options)["decoding"] or [1.0])
        if stage == "translate_snapshots":
            if run.recipe is None or not dict(run.recipe)["snapshot_updates"]:
                raise UserError(
                    f"{study}: figures.{figure}: needs the course of training; give recipes.{run.recipe_name} some "
                    "snapshot_updates, or name groups whose recipe has them"
                )
            return self.translate(run, True, [1.0])
        if stage == "snapshots":
            where = f"{study}: figures.{figure}"
            return self.snapshots(run, classes_of_snapshots(where, options, run))
        return self.train(run) if stage == "train" else self.predict(run)

    def _forward(
        self, stage: str, run: Run, title: str, values: Spec, functions: dict[str, str], module: str = ""
    ) -> Job:
        """A job that runs a trained network over images, by the stage's module or another one."""
        inputs = {"data": self.data(run.data), "weights": self.train(run)}
        room = "translation" if run.data.task == registry.TRANSLATION else "inference"
        functions = functions | {"run": f"lskd.{room}.{module or stage}:run", "model": model_entry(run.model)}
        functions |= stream_entry(run.data)
        weights = {"model": runs.model_spec(run.model)} if stage == "snapshots" else self._used_weights(run)
        return self._job(stage, title, weights | values, inputs, functions)

    def _used_weights(self, run: Run) -> Spec:
        """The network and the weights file that stand for a run."""
        return {"model": runs.model_spec(run.model)} | run.weights

    def _job(self, stage: str, title: str, values: Spec, inputs: dict[str, Job], functions: dict[str, str]) -> Job:
        job = Job(stage, title, values, inputs, functions, self.results)
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
    classes = sorted(set(dict(figure)["classes"]))
    if len(classes) != 2:
        raise UserError(f"{where}.classes: found {len(classes)}, mutual information takes 2; name two classes")
    if run.recipe is None or not run.recipe.snapshot_epochs:
        raise UserError(
            f"{where}: needs the course of training; give recipes.{run.recipe_name} some snapshot_epochs, or name"
            " groups whose recipe has them"
        )
    return classes


def options_of(figure: Figure, options: Iterable[Option]) -> Spec:
    """Those of a figure's options that are given."""
    return {option.name: value for option in options if (value := getattr(figure, option.name))}


def augmentation_entries(names: Iterable[str]) -> dict[str, str]:
    """The functions of augmentations: of single images in their order, the one that blends, the one that frames."""
    entries = {}
    for place, name in enumerate(names):
        augmentation = registry.AUGMENTATIONS[name]
        role = f"augment {place} {name}"
        if augmentation.mixes or augmentation.frames:
            role = f"{'mix' if augmentation.mixes else 'frame'} {name}"
        entries[role] = augmentation.entry
    return entries


def top_k_form(supervision: Supervision) -> Spec:
    """How the k largest of a teacher's logits are stored: with the tail at each T that students have, or at theirs."""
    options = supervision.options
    is_usual = options["temperature"] in TAIL_TEMPERATURES
    temperatures = TAIL_TEMPERATURES if is_usual else [options["temperature"]]
    return {"form": "top_k", "k": options["k"], "temperatures": temperatures}


def loss_entries(supervision: Supervision) -> dict[str, str]:
    """The loss, and what ends an epoch of one that keeps a state."""
    way = SUPERVISIONS[supervision.way]
    return {"loss": way.entry} | ({"end_epoch": way.end_epoch} if way.end_epoch else {})


def transform_entries(supervision: Supervision) -> dict[str, str]:
    """What changes the teacher's logits, and what is fitted on val for it."""
    transform = TRANSFORMS[supervision.transform]
    entries = {"transform": transform.entry, "fit": transform.fits}
    return {role: entry for role, entry in entries.items() if entry}


def fused_entries(recipe: Recipe, functions: dict[str, str]) -> dict[str, str]:
    """How a training advances as one with others: where each weight is changed by its own gradient alone."""
    module, _, name = functions["run"].partition(":")
    is_apart = functions["optimizer"].startswith("lskd.training.optimizers:") and not recipe.grad_clip
    if name != "run" or "freeze" in functions or not is_apart or recipe.amp == "float16" or recipe.processes > 1:
        return {}
    member = {"loop": "on_labels", "distill": "on_stored", "top_k": "on_stored"}[module.rpartition(".")[2]]
    return {"fused": "lskd.training.fused:run", "member": f"{module}:{member}"}


def stream_entry(data: Data) -> dict[str, str]:
    """The function by which images come that stay encoded."""
    return {"stream": "lskd.data.streamed:streamed"} if data.used.get("stream") else {}


def _scale(student: Run) -> Spec:
    """How much larger than its student a teacher sees its images, where it does."""
    assert student.teacher is not None
    own, teachers = (run.data.used.get("image_size", 1) for run in (student, student.teacher))
    return {} if own == teachers else {"scale": teachers / own}


def model_entry(model: Model) -> str:
    """The function that builds a model."""
    if model.name in registry.MODELS:
        return registry.MODELS[model.name].entry
    library = registry.TIMM if model.name.startswith(registry.TIMM_PREFIX) else registry.TORCHVISION
    return library.entry
