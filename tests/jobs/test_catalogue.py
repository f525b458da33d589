"""The jobs of a study: what each reads, by which code, under which address."""

import re
from dataclasses import replace

import pytest

from lskd.errors import UserError
from lskd.io.seal import file_digest
from lskd.jobs.catalogue import PAPERS, Catalogue, ancestors, classes_of_snapshots
from lskd.jobs.results import Results
from lskd.study import reading, registry, runs, studies
from lskd.study.config import SUPERVISIONS, Data, Model, Recipe, Supervision
from lskd.study.runs import Checkpoint, Run
from tests import small
from tests.jobs.finished import TINY, study
from tests.study.test_config import CORPUS, MLP, NEVER, OFF, SAMPLE, TOGETHER, TRANSLATION, USED

OF_TRANSLATION = [CORPUS, CORPUS | {"dataset": "aligned"}, TRANSLATION, SAMPLE]  # tests/jobs/test_translation.py
CATALOGUE = Catalogue({}, Results("nowhere"))
PARTS = {Data: {}, Model: MLP, Recipe: {"epochs": 5}, Supervision: {"label_smoothing": 0.1}}


def run_with(section, fields) -> Run:
    """A run whose part of a kind has these fields; one that needs a teacher has one trained on labels."""
    given = PARTS[section] | fields if fields.get("way", "labels") == "labels" else {"draws": "epochs"} | fields
    parts = {kind: kind(**(given if kind is section else fields_)) for kind, fields_ in PARTS.items()}
    data, model, recipe, supervision = parts.values()
    teacher = Run(data, Model(name="mlp"), "short", Recipe(epochs=5), Supervision(), 0)
    needs_teacher = SUPERVISIONS[supervision.way].needs_teacher
    return Run(data, model, "short", recipe, supervision, 0, teacher if needs_teacher else None)


def jobs_of(run: Run):
    jobs = {"data": CATALOGUE.data(run.data), "train": CATALOGUE.train(run), "predict": CATALOGUE.predict(run)}
    return jobs | ({"teacher_logits": CATALOGUE.teacher_logits(run)} if run.teacher else {})


CHANGES = [
    (section, name, other, beside)
    for section, fields in USED.items()
    for name, (other, places, _) in fields.items()
    for beside in places
    if not beside.get("root") and name not in ("dataset", "way") and beside not in OF_TRANSLATION
] + [
    (section, name, other, beside)
    for section, fields in OFF.items()
    for name, (_, other, beside, _) in fields.items()
    if not beside.get("root") and beside not in OF_TRANSLATION
]


@pytest.mark.parametrize(("section", "name", "other", "beside"), CHANGES)
def test_every_field_that_is_used_changes_the_address_of_the_training(section, name, other, beside):
    before, after = jobs_of(run_with(section, beside)), jobs_of(run_with(section, beside | {name: other}))
    assert before["train"].address != after["train"].address
    assert before["train"].plain != after["train"].plain
    assert before["predict"].address != after["predict"].address
    assert (before["data"].address != after["data"].address) == (section is Data)


@pytest.mark.parametrize(("section", "name", "other"), [(s, n, v) for s, f in NEVER.items() for n, v in f.items()])
def test_what_changes_no_result_changes_no_training(section, name, other):
    before, after = jobs_of(run_with(section, {})), jobs_of(run_with(section, {name: other}))
    if name == "name":  # a data set's own name is where it lies, and the name of what is made of it
        assert before["data"].spec == after["data"].spec
        assert after["data"].title == other
    else:
        assert before["train"].address == after["train"].address
    assert (before["predict"].address == after["predict"].address) == (name == "root")


def test_each_job_runs_the_code_that_its_run_names():
    hard, smooth = run_with(Supervision, {"label_smoothing": 0.0}), run_with(Supervision, {})
    assert CATALOGUE.train(hard).functions == {
        "run": "lskd.training.loop:run",
        "model": "lskd.models.mlp:mlp",
        "loss": "lskd.supervision.labels:loss",
        "schedule": "lskd.training.schedules:cosine",
        "optimizer": "lskd.training.optimizers:sgd",
        "fused": "lskd.training.fused:run",
        "member": "lskd.training.loop:on_labels",
    }
    assert CATALOGUE.train(smooth).functions == CATALOGUE.train(hard).functions
    other = run_with(Recipe, {"optimizer": "adam", "schedule": "constant"})
    assert CATALOGUE.train(other).functions["optimizer"] == "lskd.training.optimizers:adam"
    assert "lskd/training/schedules.py:cosine" not in CATALOGUE.train(other).definitions
    mse = run_with(Supervision, {"way": "logit_mse"})
    assert CATALOGUE.train(mse).functions["loss"] == "lskd.supervision.logit_mse:loss"
    assert CATALOGUE.train(run_with(Model, {"name": "resnet18"})).functions["model"].endswith(":torchvision_model")
    for job in (CATALOGUE.predict(hard), CATALOGUE.teacher_logits(mse)):
        assert not {"lskd/training/loop.py:Training", "lskd/supervision/labels.py:loss"} & job.definitions.keys()


def test_a_training_on_labels_depends_on_nothing_that_it_does_not_use():
    files = {name.partition(":")[0] for name in CATALOGUE.train(run_with(Supervision, {})).definitions}
    others = ("data/streamed", "data/decode", "data/encoded", "data/mixup", "training/start", "training/distill")
    assert not files & {f"lskd/{name}.py" for name in (*others, "supervision/kd", "study/options", "study/registry")}
    assert {"lskd/supervision/labels.py", "lskd/data/augment.py", "lskd/training/loop.py"} <= files


def test_augmentations_come_in_the_order_of_the_registry_and_the_blend_apart():
    run = run_with(Recipe, {"mixup": 0.2, "flip": True, "crop_padding": 1, "resized_crop": [0.2, 1, 0.75, 1.25]})
    roles = {role: entry for role, entry in CATALOGUE.train(run).functions.items() if "." in entry and " " in role}
    assert roles == {
        "augment 1 crop_padding": "lskd.data.augment:crop",
        "augment 2 flip": "lskd.data.augment:flip",
        "mix mixup": "lskd.data.mixup:mixup",
        "frame resized_crop": "lskd.data.resized_crop:frames",
    }


def test_a_store_of_logits_runs_the_augmentations_of_its_draws_and_of_the_clean_image_none():
    fields = {"mixup": 0.2, "flip": True}
    cached = small.student(small.teacher(), **fields)
    roles = {"augment 0 flip": "lskd.data.augment:flip", "mix mixup": "lskd.data.mixup:mixup"}
    assert roles.items() <= CATALOGUE.train(cached).functions.items()
    assert roles.items() <= CATALOGUE.teacher_logits(cached).functions.items()
    assert "lskd/data/augment.py:crop" not in CATALOGUE.teacher_logits(cached).definitions
    clean = CATALOGUE.teacher_logits(small.student(small.teacher(), how={"draws": 1}, flip=True))
    assert not [role for role in clean.functions if role.startswith(("augment", "mix"))]


def test_another_mean_and_std_are_other_data():
    before, after = jobs_of(run_with(Data, {})), jobs_of(run_with(Data, TOGETHER[Data]))
    assert after["data"].spec == before["data"].spec | TOGETHER[Data]
    assert all(before[stage].address != after[stage].address for stage in before)


def test_a_librarys_models_share_its_builder():
    libraries = {"resnet18": "torchvision_models:torchvision_model", "timm/resnet10t": "timm_models:timm_model"}
    for name, builder in libraries.items():
        assert CATALOGUE.train(run_with(Model, {"name": name})).functions["model"] == f"lskd.models.{builder}"


def test_streamed_data_bring_the_code_that_streams_them(tmp_path):
    for name in small.CLASSES:
        (tmp_path / "birds" / name).mkdir(parents=True)
        for i, image in enumerate(small.noisy(shape=(3, 8, 8))["train_images"][:3]):
            (tmp_path / "birds" / name / f"{i}.png").write_bytes(small.png(image))
    recipe = Recipe(epochs=5, snapshot_epochs=[1], flip=True)
    kd = Supervision(way="kd", temperature=1.0, draws="epochs")
    for is_streamed in (False, True):
        data = Data(dataset="imagefolder", root=str(tmp_path / "birds"), image_size=16, stream=is_streamed)
        teacher = Run(data, Model(name="mlp"), "short", recipe, Supervision(), 0)
        student = Run(data, Model(name="mlp"), "short", recipe, kd, 0, teacher)
        jobs = [CATALOGUE.train(teacher), CATALOGUE.predict(teacher), CATALOGUE.snapshots(teacher, ["ant", "bee"])]
        jobs += [CATALOGUE.train(student), CATALOGUE.teacher_logits(student)]
        for job in jobs:
            assert (job.functions.get("stream") == "lskd.data.streamed:streamed") == is_streamed
            assert ("lskd/data/streamed.py:streamed" in job.definitions) == is_streamed
        assert CATALOGUE.data(data).spec.get("stream") == (True if is_streamed else None)


def test_a_run_that_starts_from_another_reads_its_weights():
    first = small.teacher()
    run = Run(first.data, first.model, "short", first.recipe, first.supervision, 0, start=first, start_head="new")
    job = CATALOGUE.train(run)
    assert job.inputs["start"] is CATALOGUE.train(first)
    assert job.spec["start"] == {"weights": "model.safetensors", "head": "new"}
    assert job.functions["begin"] == "lskd.training.start:begin_with"
    assert job.address != CATALOGUE.train(first).address


def test_a_checkpoint_is_known_by_its_bytes_and_not_by_its_place(tmp_path):
    def given(path, keys=None):
        base = small.teacher()
        checkpoint = Checkpoint(str(path), keys or {}, "keep")
        return Run(base.data, base.model, "given", None, base.supervision, 0, checkpoint=checkpoint)

    (tmp_path / "a.pt").write_bytes(b"weights")
    (tmp_path / "b.pt").write_bytes(b"weights")
    (tmp_path / "c.pt").write_bytes(b"others")
    jobs = [CATALOGUE.train(given(tmp_path / name)) for name in ("a.pt", "b.pt", "c.pt")]
    assert jobs[0].address == jobs[1].address != jobs[2].address
    assert CATALOGUE.train(given(tmp_path / "a.pt", {"x": "y"})).address != jobs[0].address
    assert jobs[0].functions.keys() == {"run", "model"}
    with pytest.raises(UserError, match="start.checkpoint: found '.*none.pt', which cannot be read"):
        CATALOGUE.train(given(tmp_path / "none.pt"))


def test_a_snapshot_that_teaches_is_read_where_its_training_kept_it():
    whole = small.teacher(snapshot_epochs=[1, 2])
    first, second = (replace(whole, epoch=epoch) for epoch in (1, 2))
    for how in ({}, {"draws": "online"}):
        jobs = [CATALOGUE.train(small.student(teacher, how=how)) for teacher in (whole, first, second)]
        assert len({job.address for job in jobs}) == 3
    online = CATALOGUE.train(small.student(second, how={"draws": "online"}))
    assert online.inputs["teacher"] is CATALOGUE.train(whole) is CATALOGUE.train(second)
    weights = {"model": whole.spec["model"], "weights": "snapshots.safetensors", "epoch": 2}
    assert online.spec["teacher"] == weights
    for job in (CATALOGUE.teacher_logits(small.student(second)), CATALOGUE.predict(second)):
        assert weights.items() <= job.spec.items()
        assert job.inputs["weights"] is CATALOGUE.train(whole)
        assert "seed0-epoch2" in job.title
    assert "epoch" not in CATALOGUE.predict(whole).spec


def test_a_student_reads_its_teachers_logits_or_the_teacher_itself():
    teacher = small.teacher(crop_padding=1)
    cached, online = (small.student(teacher, how={"draws": draws}, crop_padding=1) for draws in ("epochs", "online"))
    store = CATALOGUE.teacher_logits(cached)
    assert CATALOGUE.train(cached).inputs == {"data": CATALOGUE.data(teacher.data), "teacher": store}
    assert store.inputs == {"data": CATALOGUE.data(teacher.data), "weights": CATALOGUE.train(teacher)}
    assert store.title == f"{teacher.title}/draws3-crop1-float32"
    assert store.spec["draws"] == 3 and store.spec["augment"] == {"crop_padding": 1}
    job = CATALOGUE.train(online)
    assert job.inputs["teacher"] is CATALOGUE.train(teacher)
    assert (job.functions["run"], job.functions["teacher_model"]) == (
        "lskd.training.distill:run_online",
        "lskd.models.resnet_cifar:resnet8",
    )
    assert "lskd/io/store.py:open_logits" not in job.definitions


def test_a_transform_is_a_function_of_the_student_and_what_it_fits_reads_the_teachers_predictions():
    teacher = small.teacher(crop_padding=1)
    hows = [{}, {"transform": "erase", "keep": 0.5}, {"transform": "shuffle"}, {"transform": "calibrate"}]
    plain, erased, shuffled, calibrated = jobs = [
        CATALOGUE.train(small.student(teacher, how=how, crop_padding=1)) for how in hows
    ]
    assert not {"transform", "fit"} & plain.functions.keys() and "transform" not in plain.spec
    of_transforms = {name for name in plain.definitions if name.startswith("lskd/transforms/")}
    assert of_transforms == {"lskd/transforms/of_student.py:transform_of"}  # which calls one where there is one
    assert erased.functions == plain.functions | {"transform": "lskd.transforms.erase:transform"}
    assert erased.spec == plain.spec | {"transform": {"name": "erase", "keep": 0.5}}
    assert "lskd/transforms/shuffle.py:transform" not in erased.definitions
    assert erased.inputs == shuffled.inputs == plain.inputs
    assert calibrated.inputs == plain.inputs | {"teacher predict": CATALOGUE.predict(teacher)}
    assert calibrated.functions["fit"] == "lskd.metrics.calibration:fit_temperature"
    assert "lskd/metrics/calibration.py:fit_temperature" in calibrated.definitions
    assert len({job.address for job in jobs}) == len({job.title for job in jobs}) == 4


def test_a_loss_that_remembers_brings_what_ends_its_epochs():
    run = run_with(Supervision, {"way": "online_smoothing", "label_smoothing": 0.0})
    assert CATALOGUE.train(run).functions["end_epoch"] == "lskd.supervision.online_smoothing:end_epoch"
    assert "end_epoch" not in CATALOGUE.train(run_with(Supervision, {})).functions


def test_students_of_one_teacher_share_its_logits():
    teacher = small.teacher(crop_padding=1)
    hows = [{"temperature": 1.0}, {"temperature": 3.0, "soft_weight": 0.5}, {"way": "logit_mse"}]
    same = [small.student(teacher, how=how, crop_padding=1) for how in hows]
    same.append(small.student(teacher, "plain_cnn", 4, lr=0.5, crop_padding=1))
    assert len({CATALOGUE.teacher_logits(run).address for run in same}) == 1
    others = [
        small.student(teacher, how={"dtype": "float16"}, crop_padding=1),
        small.student(teacher, how={"draws": 2}, crop_padding=1),
        small.student(teacher, how={"draws": 1}, crop_padding=1),
        small.student(teacher, crop_padding=2),
        small.student(teacher, crop_padding=1, flip=True),
        small.student(teacher, crop_padding=1, epochs=4),
        small.student(small.teacher(crop_padding=1, seed=1), crop_padding=1),
    ]
    stores = [CATALOGUE.teacher_logits(run) for run in (same[0], *others)]
    assert len({store.address for store in stores}) == len({store.title for store in stores}) == 8


def test_each_of_a_teachers_students_has_a_store_where_pixels_are_drawn_and_else_they_share_one():
    for fields, is_shared in (({"crop_padding": 1}, False), ({}, True)):
        first = small.student(small.teacher(**fields), **fields)
        second = replace(first, student=1)
        one, two = CATALOGUE.teacher_logits(first), CATALOGUE.teacher_logits(second)
        assert (one is two) == is_shared
        if not is_shared:
            assert two.title == f"{one.title}-student1" and two.address != one.address
            assert (one.spec["pixels"], two.spec["pixels"]) == (first.spec["pixels"], second.spec["pixels"])
        other_t = replace(second, supervision=Supervision(way="kd", temperature=9.0, draws="epochs"))
        assert CATALOGUE.teacher_logits(other_t) is two
        assert CATALOGUE.train(first).address != CATALOGUE.train(second).address
        assert CATALOGUE.train(second).inputs["teacher"] is two


def test_a_data_set_that_code_alone_makes_has_no_content_and_all_its_options_in_its_spec():
    job = CATALOGUE.data(Data(dataset="glyphs", classes=20, class_subset=5, label_noise=0.1))
    assert job.spec["content"] == {} and job.functions["load"] == "lskd.data.glyphs:load"
    assert (job.spec["classes"], job.spec["class_subset"], job.spec["label_noise"]) == (20, 5, 0.1)
    assert "lskd/data/glyph_classes.py:CHARACTERS" in job.definitions
    assert job.address != CATALOGUE.data(Data(dataset="glyphs", classes=20)).address


def tiny(results="nowhere", **changes) -> Catalogue:
    one = reading.parse(study(**changes))
    return Catalogue({one.study: one}, Results(results))


def addresses(catalogue) -> dict[str, str]:
    return {f"{job.stage} {job.title}": job.address for job in catalogue.everything()}


def test_every_job_is_made_once_and_after_what_it_reads():
    catalogue = tiny()
    jobs = list(catalogue.everything())
    assert len({job.folder for job in jobs}) == len(set(jobs)) == len(catalogue.by_folder)
    for job in set(jobs):
        order = ancestors(job)
        assert order[-1] is job
        assert all(order.index(above) < order.index(below) for below in order for above in below.inputs.values())
    stages = {stage: {job.title for job in jobs if job.stage == stage} for stage in {job.stage for job in jobs}}
    assert {stage: len(titles) for stage, titles in stages.items()} == {
        "data": 1,
        "train": 2 + 4,
        "teacher_logits": 2,
        "predict": 6,
        "snapshots": 2,
        "metrics": 5,
        "figure": 5,
    }


def test_addresses_are_the_same_in_another_process_and_order():
    assert addresses(tiny()) == addresses(tiny())
    reordered = {key: TINY[key] for key in sorted(TINY)}
    turned = reordered | {"figures": dict(reversed(TINY["figures"].items()))}
    assert addresses(tiny(**turned)) == addresses(tiny())


@pytest.mark.parametrize(
    "changes",
    [{"name": "another title"}, {"runtime": {"device": "auto", "threads": 4, "compile": True, "track": "tensorboard"}}],
)
def test_names_for_the_report_and_the_runtime_change_nothing(changes):
    assert addresses(tiny(**changes)) == addresses(tiny())


def test_a_figures_option_changes_that_figure_alone():
    figures = TINY["figures"] | {"grid": {"kind": "grid", "temperatures": [3.0]}}
    before, after = addresses(tiny()), addresses(tiny(figures=figures))
    assert {name for name in before if before[name] != after[name]} == {
        "metrics demo/tiny/grid/accuracy",
        "figure demo/tiny/grid",
    }
    classes = TINY["figures"] | {"projection": TINY["figures"]["projection"] | {"classes": ["1", "2", "4"]}}
    after = addresses(tiny(figures=classes))
    assert {name for name in before if before[name] != after[name]} == {
        "metrics demo/tiny/projection/projection",
        "figure demo/tiny/projection",
    }


def test_another_seed_adds_runs_and_changes_none():
    before, after = addresses(tiny()), addresses(tiny(seeds=[0, 1]))
    changed = {name for name in before if before[name] != after[name]}
    assert {name.split()[0] for name in changed} == {"metrics", "figure"}
    assert len(after) > len(before)


def test_another_learning_rate_changes_all_but_the_data():
    recipes = {"one": TINY["recipes"]["one"] | {"lr": 0.2}}
    before, after = addresses(tiny()), addresses(tiny(recipes=recipes))
    assert {name for name in before if before[name] == after[name]} == {"data digits"}


def test_complexity_needs_no_training():
    catalogue = tiny(figures={"complexity": {"kind": "complexity"}})
    job = catalogue.metrics("tiny", "complexity", "complexity")
    assert job.inputs == {}
    assert job.spec["models"].keys() == {"mlp-w4", "mlp-w8"}
    longer = tiny(figures={"complexity": {"kind": "complexity"}}, recipes={"one": {"epochs": 9}})
    assert longer.metrics("tiny", "complexity", "complexity").address == job.address


def test_diffusion_reads_the_teachers_too():
    job = tiny().metrics("tiny", "diffusion", "diffusion")
    titles = {role.partition(" ")[2] for role in job.inputs if role.startswith("predict ")}
    assert len(titles) == 6  # 4 students that are shown, and their 2 teachers


def test_snapshots_need_two_classes_and_snapshots():
    run = next(m.run for m in runs.members(reading.parse(study())) if m.role == "teacher")
    figure = reading.parse(study()).figures["information"]
    assert classes_of_snapshots("here", figure, run) == ["3", "8"]
    with pytest.raises(UserError, match="here.classes: found 1, mutual information takes 2"):
        classes_of_snapshots("here", figure.model_copy(update={"classes": ["3", "3"]}), run)
    with pytest.raises(UserError, match="recipes.short some snapshot_epochs"):
        classes_of_snapshots("here", figure, small.teacher())


def test_every_paper_that_a_figures_code_names_is_declared_with_its_kind():
    """A paper's numbers are no code: they are in the spec of the figures that show them, by their digest."""
    for kind, figure in registry.FIGURES.items():
        source = (PAPERS.parents[0] / f"{figure.module.removeprefix('lskd.').replace('.', '/')}.py").read_text()
        assert set(re.findall(r'\b(?:paper|lookup)\(\s*"(\w+)"', source)) == set(figure.papers), kind


def test_a_figure_of_a_paper_holds_the_digest_of_its_numbers():
    catalogue = Catalogue(studies.read_all(reading.read("config.yaml"), {}, [])[1], Results("nowhere"))
    digest = {name: file_digest(PAPERS / f"{name}.yaml") for name in ("shen2021", "chandrasegaran2022")}
    assert catalogue.figure("shen2021", "table1").spec["papers"] == {"shen2021": digest["shen2021"]}
    assert catalogue.figure("ls_kd", "grid").spec["papers"] == {}
    summary = next(name for name, figure in catalogue.studies["chandrasegaran2022"].figures.items())
    assert "chandrasegaran2022" in catalogue.figure("chandrasegaran2022", summary).spec["papers"]


def test_a_data_set_that_its_code_makes_needs_no_files(monkeypatch):
    made_by_code = registry.DATASETS["mnist"]._replace(has_files=False)
    monkeypatch.setitem(registry.DATASETS, "mnist", made_by_code)
    assert Catalogue({}, Results("nowhere")).data(Data(dataset="mnist", root="/none")).spec["content"] == {}
