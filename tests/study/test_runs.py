"""Runs, their titles and specs."""

import pytest

from lskd.errors import UserError
from lskd.study import config, naming, reading, runs
from lskd.study.identity import IDENTITY
from lskd.study.options import spec

RAW = {
    "study": "s",
    "seeds": [0, 1],
    "recipes": {"r": {"epochs": 4}, "aug": {"epochs": 4, "crop_padding": 2, "flip": True}},
    "teachers": {"t": {"model": {"name": "mlp", "width": 8}, "recipe": "r", "label_smoothing": [0.0, 0.1]}},
    "students": {"s": {"teacher": "t", "model": "plain_cnn", "recipe": "aug", "temperature": [1, 3]}},
    "figures": {"grid": {"kind": "grid"}},
}


def study(**over):
    return reading.parse(reading.merge(RAW, over))


def students(one):
    return [member.run for member in runs.members(one) if member.role == "student"]


def test_titles_read_as_provenance():
    titles = [member.run.title for member in runs.members(study())]
    assert len(titles) == 4 + 8
    assert titles == sorted(titles)
    assert "digits/mlp-w8/r/ls0.1/seed1" in titles
    assert "digits/plain_cnn/aug/kd-T3-from-mlp-w8-r-ls0.1/seed1" in titles  # its recipe, where it is another
    same = study(students={"s": RAW["students"]["s"] | {"recipe": "r"}})
    assert "digits/plain_cnn/r/kd-T3-from-mlp-w8-ls0.1/seed1" in [run.title for run in students(same)]


def test_order_in_the_config_changes_nothing():
    teacher = RAW["teachers"]["t"] | {"label_smoothing": [0.1, 0.0]}
    again = study(seeds=[1, 0], teachers={"t": teacher})
    assert [m.row for m in runs.members(again)] == [m.row for m in runs.members(study())]


def test_a_spec_is_what_the_weights_depend_on_beside_data_and_teacher():
    """The teacher's own spec is part of a student's address by the job that it reads."""
    student = students(study())[0]
    assert student.spec == {
        "model": {"name": "plain_cnn"},
        "recipe": spec(student.recipe),
        "supervision": spec(student.supervision),
        "pixels": {"key": "digits", "seed": student.own_seed},
        "seed": student.own_seed,
    }
    assert student.spec["supervision"]["temperature"] == 1.0
    assert student.identity != students(study(recipes={"r": {"lr": 0.5}}))[0].identity
    assert student.spec == students(study(recipes={"r": {"lr": 0.5}}))[0].spec


def test_the_form_of_no_smoothing_is_in_no_title_and_changes_no_spec():
    others = study(teachers={"t": RAW["teachers"]["t"] | {"smoothing": "others"}})
    hard, smooth = (next(m.run for m in runs.members(others) if m.run.label_smoothing == a) for a in (0.0, 0.1))
    assert (naming.taught(hard), naming.taught(smooth)) == ("ls0", "ls0.1-others")
    uniform = next(m.run for m in runs.members(study()) if m.run.title == hard.title)
    assert hard.spec["supervision"] == uniform.spec["supervision"]
    assert smooth.spec["supervision"] == {"way": "labels", "label_smoothing": 0.1, "smoothing": "others"}


def test_torchvision_models_share_a_builder_and_are_told_apart():
    assert runs.model_spec(config.Model(name="resnet18")) == {"name": "resnet18", "arch": "resnet18"}
    assert runs.model_spec(config.Model(name="mlp", width=8)) == {"name": "mlp", "width": 8}
    timm = config.Model(name="timm/resnet10t")
    assert runs.model_spec(timm) == {"name": "timm/resnet10t", "arch": "resnet10t"}


def test_two_different_runs_or_data_sets_of_one_name_are_refused():
    near = RAW["teachers"]["t"] | {"label_smoothing": [0.1, 0.1000000001]}
    with pytest.raises(UserError, match="recipes.r: two different runs are called digits/mlp-w8/r/ls0.1/seed0"):
        runs.members(study(teachers={"t": near}))
    named = {"t": RAW["teachers"]["t"] | {"data": {"dataset": "digits", "val_fraction": 0.3}}}
    with pytest.raises(UserError, match="two different data sets are called digits"):
        runs.members(study(teachers={"t": RAW["teachers"]["t"]} | {"u": named["t"]}))


def test_a_use_of_other_weights_is_another_run():
    """Best and last epoch are of one training, and of two names' worth of results."""
    assert students(study())[0].identity != students(study(recipes={"r": {"select": "best"}}))[0].identity


def test_students_may_teach_but_not_in_a_circle():
    born_again = {"teacher": "s", "model": "mlp", "recipe": "r", "temperature": [2]}
    chain = study(students={"b": born_again})
    titles = [m.run.title for m in runs.members(chain) if m.group == "b"]
    assert len(titles) == 8
    assert "digits/mlp/r/kd-T2-from-plain_cnn-aug-kd-T3-from-mlp-w8-r-ls0.1/seed1" in titles
    circle = RAW["students"]["s"] | {"teacher": "b"}
    with pytest.raises(UserError, match="circle"):
        runs.members(study(students={"b": born_again, "s": circle}))


KEPT = {"recipes": {"r": {"epochs": 4, "snapshot_epochs": [1, 3]}}}


def test_a_teacher_may_teach_as_it_was_after_some_epochs():
    listed = runs.members(study(**KEPT, students={"s": RAW["students"]["s"] | {"teacher_epoch": [1, 3, None]}}))
    taught = [member for member in listed if member.role == "student"]
    titles = {member.run.title for member in taught}
    assert len(titles) == len({member.run.identity for member in taught}) == len(taught) == 8 * 3
    assert "digits/plain_cnn/aug/kd-T3-from-epoch1-of-mlp-w8-r-ls0.1/seed1" in titles
    rows = {(member.row["teacher"], member.row["lineage"]) for member in taught if member.run.seed == 0}
    for alpha in ("0", "0.1"):
        assert (f"digits/mlp-w8/r/ls{alpha}/seed0-epoch3", "digits/mlp-w8/r/epoch3") in rows
        assert (f"digits/mlp-w8/r/ls{alpha}/seed0", "digits/mlp-w8/r") in rows
    assert len({member.run.own_seed for member in taught}) == 2  # alike but for who teaches


def test_the_last_epoch_alone_is_in_no_spec_name_or_identity():
    plain, last = (
        students(study(**KEPT, students={"s": RAW["students"]["s"] | more})) for more in ({}, {"teacher_epoch": None})
    )
    assert [(run.title, run.identity) for run in plain] == [(run.title, run.identity) for run in last]


def test_a_snapshot_of_a_student_may_teach_too():
    born_again = {"teacher": "s", "model": "mlp", "recipe": "r", "temperature": [2], "teacher_epoch": [2]}
    recipes = {"aug": {"epochs": 4, "snapshot_epochs": [2]}}
    chain = [m for m in runs.members(study(recipes=recipes, students={"b": born_again})) if m.group == "b"]
    assert "digits/mlp/r/kd-T2-from-epoch2-of-plain_cnn-aug-kd-T3-from-mlp-w8-r-ls0.1/seed1" in {
        m.run.title for m in chain
    }
    assert {m.row["lineage"] for m in chain} == {
        f"digits/mlp-w8/r/plain_cnn-aug-kd-T{t}-epoch2" for t in (1, 3)
    }  # fmt: skip


def test_a_network_that_teaches_itself_is_a_chain_of_one_model():
    group = {"teacher": "t", "model": RAW["teachers"]["t"]["model"], "recipe": "r", "temperature": [20]}
    listed = runs.members(study(students={"s": None, "self": group}))
    own = next(m for m in listed if m.run.title == "digits/mlp-w8/r/kd-T20-from-mlp-w8-ls0/seed0")
    assert own.row["model"] == own.row["teacher_model"] == "mlp-w8"
    assert own.run.own_seed != own.run.teacher.own_seed


def test_teachers_can_be_chosen_by_their_smoothing():
    only = RAW["students"]["s"] | {"label_smoothing": [0.1]}
    chosen = [m.run for m in runs.members(study(students={"s": only})) if m.role == "student"]
    assert {run.label_smoothing for run in chosen} == {0.1}


@pytest.mark.parametrize(
    ("recipe", "draws", "stored", "slug"),
    [
        ("r", "epochs", [0], "clean-float32"),
        ("aug", "epochs", [1, 2, 3, 4], "draws4-crop2-flip-float32"),
        ("aug", 2, [1, 2], "draws2-crop2-flip-float32"),
        ("aug", 1, [0], "clean-float32"),
        ("r", 3, [0], "clean-float32"),
        ("mix", 3, [1, 2, 3], "draws3-flip-mixup0.2-float32"),
    ],
)
def test_stored_draws(recipe, draws, stored, slug):
    group = RAW["students"]["s"] | {"recipe": recipe, "draws": draws}
    recipes = {"mix": {"epochs": 4, "flip": True, "mixup": 0.2}}
    student = students(study(students={"s": group}, recipes=recipes))[0]
    assert runs.stored_draws(student) == stored
    assert naming.store_slug(student, stored) == slug


def test_logits_of_the_clean_image_are_refused_for_blended_ones():
    group = RAW["students"]["s"] | {"recipe": "mix", "draws": 1}
    with pytest.raises(UserError, match="students.s.draws: found 1, the clean image, but mix has mixup"):
        study(students={"s": group}, recipes={"mix": {"epochs": 4, "mixup": 0.2}})


def test_a_transform_is_of_images_of_one_class():
    blended = {"recipes": {"aug": RAW["recipes"]["aug"] | {"mixup": 0.2}}}
    one = RAW["students"]["s"] | {"transform": "shuffle"}
    with pytest.raises(
        UserError, match="students.s.transform: found shuffle, which takes images of one class, but aug "
    ):
        study(**blended, students={"s": one})


def test_how_pixels_are_drawn():
    recipes = study(recipes={"mix": {"epochs": 4, "flip": True, "mixup": 0.2}}).recipes
    assert runs.augment_spec(recipes["aug"]) == {"crop_padding": 2, "flip": True}
    assert runs.augment_spec(recipes["r"]) == {}
    assert recipes["aug"].augmentations and not recipes["r"].augmentations
    assert runs.augment_spec(recipes["mix"]) == {"flip": True, "mixup": 0.2}
    assert runs.augment_spec(recipes["mix"], mixes=False) == {"flip": True}


@pytest.mark.parametrize(
    ("figure", "count"),
    [({}, 12), ({"groups": ["t"]}, 4), ({"groups": ["s"], "temperatures": [3.0]}, 4), ({"temperatures": [3.0]}, 8)],
)
def test_a_figure_shows_its_groups_and_temperatures(figure, count):
    one = study(figures={"grid": {"kind": "grid"} | figure})
    assert len(runs.select(runs.members(one), one.figures["grid"])) == count


def test_identity_columns():
    member = next(m for m in runs.members(study()) if m.role == "student" and not m.run.label_smoothing)
    assert member.row == {
        "run": member.run.title,
        "group": "s",
        "role": "student",
        "dataset": "digits",
        "model": "plain_cnn",
        "recipe": "aug",
        "teacher": member.run.teacher.title,
        "teacher_model": "mlp-w8",
        "lineage": "digits/mlp-w8/r",
        "smoothing": "uniform",
        "label_smoothing": 0.0,
        "temperature": 1.0,
        "soft_weight": 1.0,
        "variant": "",
        "seed": 0,
        "student": 0,
    }
    assert set(member.row) == set(IDENTITY)
    teacher = next(m for m in runs.members(study()) if m.role == "teacher").row
    assert teacher["teacher"] == ""
    assert (teacher["temperature"], teacher["soft_weight"], teacher["student"]) == (None, None, None)


def test_each_of_a_teachers_students_has_a_title_and_a_seed_of_its_own():
    listed = students(study(students={"s": RAW["students"]["s"] | {"per_teacher": 3}}))
    assert len(listed) == len({run.title for run in listed}) == len({run.identity for run in listed}) == 8 * 3
    titles = {(run.seed, run.student): run.title for run in listed if run.label_smoothing and "-T3-" in run.title}
    stem = "digits/plain_cnn/aug/kd-T3-from-mlp-w8-r-ls0.1"
    assert titles == {(s, i): f"{stem}/seed{s}" + (f".{i}" if i else "") for s in (0, 1) for i in (0, 1, 2)}
    own_seeds = {(run.seed, run.student): set[int]() for run in listed}
    for run in listed:  # twins: of the hard and the smoothed teacher, at every T
        own_seeds[run.seed, run.student].add(run.own_seed)
        assert run.spec["seed"] == run.spec["pixels"]["seed"] == run.own_seed
        assert run.teacher.own_seed == run.teacher.spec["seed"] == run.seed
    assert {len(twins) for twins in own_seeds.values()} == {1}
    distinct = {seed for twins in own_seeds.values() for seed in twins}
    assert len(distinct) == 6 and not distinct & {0, 1}
    assert all(0 <= seed < 2**31 for seed in distinct)


def test_more_students_leave_the_first_ones_as_they_are():
    of_one, of_three = (
        {run.title: run.identity for run in students(study(students={"s": RAW["students"]["s"] | more}))}
        for more in ({}, {"per_teacher": 3})
    )
    assert of_one.items() <= of_three.items()


def test_own_seeds_stay_what_they_are():
    """By hand: the first 31 bits of SHA-256 of "student 0 of seed 0"; other seeds would be other results."""
    assert students(study(seeds=[0]))[0].own_seed == 0x61215DAF >> 1


def test_students_of_students_are_told_apart_and_seeded_by_their_whole_place():
    born_again = {"teacher": "s", "model": "mlp", "recipe": "r", "temperature": 2, "per_teacher": 2}
    first = RAW["students"]["s"] | {"per_teacher": 2, "temperature": 1}
    chain = [m.run for m in runs.members(study(seeds=[0], students={"s": first, "b": born_again})) if m.group == "b"]
    stem = "digits/mlp/r/kd-T2-from-plain_cnn-aug-kd-T1-from-mlp-w8-r-ls0.1"
    smooth = {run.title: run for run in chain if run.label_smoothing}
    assert sorted(smooth) == [f"{stem}/seed{place}" for place in ("0", "0.0.1", "0.1.0", "0.1.1")]
    seeds = {run.own_seed for run in smooth.values()} | {run.teacher.own_seed for run in smooth.values()}
    assert len(seeds) == 4 + 2
    assert {run.own_seed for run in chain} == {run.own_seed for run in smooth.values()}


def test_a_way_without_temperature_has_none_in_the_column():
    group = {"teacher": "t", "model": "mlp", "recipe": "r", "supervision": "logit_mse", "soft_weight": [0.6, 1.0]}
    rows = [m.row for m in runs.members(study(students={"s": None, "m": group})) if m.role == "student"]
    assert [row["temperature"] for row in rows] == [None] * 8
    assert {row["soft_weight"] for row in rows} == {0.6, 1.0}
    assert {row["variant"] for row in rows} == {"logit_mse"}


def test_the_axes_of_a_group_are_crossed():
    group = RAW["students"]["s"] | {"temperature": [1, 3], "soft_weight": [0.5, 1.0]}
    chosen = [run.supervision.options for run in students(study(students={"s": group}))]
    pairs = {(options["temperature"], options["soft_weight"]) for options in chosen}
    assert pairs == {(1.0, 0.5), (1.0, 1.0), (3.0, 0.5), (3.0, 1.0)}
    assert len(chosen) == 4 * 2 * 2


RIVALS = {
    "t": RAW["teachers"]["t"],
    "m": {"model": {"name": "mlp", "width": 8}, "recipe": "r", "supervision": "maxsup", "suppression": [0.05, 0.1]},
    "o": {"model": {"name": "mlp", "width": 8}, "recipe": "r", "supervision": "online_smoothing", "hard_weight": 0.3},
    "q": {"model": {"name": "mlp", "width": 8}, "recipe": "r", "supervision": "squared_error", "label_value": 5.0},
    "v": {"model": {"name": "mlp", "width": 8}, "recipe": "r", "supervision": "tf_kd_reg", "temperature": [3, 20]},
}
WAYS = ("dkd", "dist", "nkd", "wsld", "wttm", "standardized_kd")
EVERYTHING = {
    **{f"of_{name}": RAW["students"]["s"] | {"teacher": name} for name in RIVALS},
    **{way: RAW["students"]["s"] | {"supervision": way, "ce_weight": [0.0, 1.0]} for way in WAYS},
    "apart": RAW["students"]["s"] | {"teacher_temperature": [None, 2.0]},
    "erased": RAW["students"]["s"] | {"transform": "erase", "keep": [0.0, 0.5, 1.0]},
    "mse": {"teacher": "t", "model": "plain_cnn", "recipe": "aug", "supervision": "logit_mse", "transform": "erase"},
    **{name: RAW["students"]["s"] | {"transform": name} for name in ("shuffle", "randomize", "calibrate")},
}


def test_every_way_of_teaching_and_transform_has_a_name_and_an_identity_of_its_own():
    listed = runs.members(study(teachers=RIVALS, students=EVERYTHING | {"s": None}))
    titles = {member.run.title: member.run for member in listed}
    assert len({run.identity for run in titles.values()}) == len(titles)
    per_rival = {"t": 4, "m": 4, "o": 2, "q": 2, "v": 4}  # seeds x alphas
    taught = 2 * sum(per_rival.values()) + 4 * (6 * 2 * 2 + 2 + 2 * 3 + 1 + 3 * 2)  # of `apart` half are those of `t`
    assert len(titles) == sum(per_rival.values()) + taught
    rows = {tuple(row[name] for name in IDENTITY if name not in ("run", "group", "role", "teacher")) for row in
            (member.row for member in listed)}  # fmt: skip
    assert len(rows) == len(titles)


def test_rivals_of_label_smoothing_are_lineages_of_their_own():
    listed = runs.members(study(teachers=RIVALS, students={"s": RAW["students"]["s"] | {"teacher": "m"}}))
    lineages = {member.group: {m.row["lineage"] for m in listed if m.group == member.group} for member in listed}
    assert lineages == {
        "t": {"digits/mlp-w8/r"},
        "m": {"digits/mlp-w8/r/maxsup-a0.05", "digits/mlp-w8/r/maxsup-a0.1"},
        "o": {"digits/mlp-w8/r/online_smoothing-h0.3"},
        "q": {"digits/mlp-w8/r/squared_error-M5"},
        "v": {"digits/mlp-w8/r/tf_kd_reg-T3", "digits/mlp-w8/r/tf_kd_reg-T20"},
        "s": {"digits/mlp-w8/r/maxsup-a0.05", "digits/mlp-w8/r/maxsup-a0.1"},
    }
    assert {member.row["label_smoothing"] for member in listed if member.group != "t"} == {0.0}


def test_a_transform_is_in_the_spec_apart_from_the_loss_and_only_where_there_is_one():
    plain, erased = (
        students(study(students={"s": RAW["students"]["s"] | how}))[0].spec
        for how in ({}, {"transform": "erase", "keep": 0.5})
    )
    assert erased == plain | {"transform": {"name": "erase", "keep": 0.5}}
    assert plain["supervision"] == {
        "way": "kd",
        "draws": "epochs",
        "temperature": 1.0,
        "soft_weight": 1.0,
        "t_squared": True,
        "soften_student": True,
        "reduction": "batchmean",
    }


def test_a_student_may_see_its_teachers_samples_at_another_size_and_no_others():
    folder = {"dataset": "imagefolder", "root": "birds", "image_size": 64}
    smaller = RAW["students"]["s"] | {"data": folder | {"name": "small", "image_size": 32, "stream": True}}
    one = study(data=folder, students={"s": smaller})
    assert {(run.data.image_size, run.teacher.data.image_size) for run in students(one)} == {(32, 64)}
    assert {run.spec["pixels"]["key"] for run in students(one)} == {"imagefolder"}
    for key, value in {"root": "bees", "val_fraction": 0.3, "test_fraction": 0.3}.items():
        other = RAW["students"]["s"] | {"data": folder | {"name": "small", key: value}}
        with pytest.raises(UserError, match=f"students' data: {key} is .*, but their teacher's is "):
            runs.members(study(data=folder, students={"s": other}))


def test_parts_of_images_are_seen_of_files_or_of_what_is_in_memory_by_both():
    folder = {"dataset": "imagefolder", "root": "birds", "image_size": 64}
    smaller = RAW["students"]["s"] | {"data": folder | {"name": "small", "image_size": 32, "stream": True}}
    recipes = {"aug": {"epochs": 4, "resized_crop": [0.2, 1, 0.75, 1.3333]}}
    with pytest.raises(UserError, match="stream differs from their teacher's, so that resized_crop"):
        runs.members(study(data=folder, recipes=recipes, students={"s": smaller}))
    same = study(data=folder | {"stream": True}, recipes=recipes, students={"s": smaller})
    assert len(students(same)) == 8


FINE = {"model": {"name": "mlp", "width": 8}, "recipe": "aug", "label_smoothing": [0.0, 0.2]}


def of_group(one, name):
    return {(m.run.label_smoothing, m.run.seed): m.run for m in runs.members(one) if m.group == name}


def test_a_group_may_start_where_another_ended():
    started = of_group(study(baselines={"f": FINE | {"start": {"run": "t", "head": "new"}}}), "f")
    assert len(started) == 4
    for (alpha, seed), run in started.items():
        assert run.start.seed == seed
        assert run.start.label_smoothing == 0.0  # t has no 0.2: its first
        assert run.spec["start"] == {"weights": "model.safetensors", "head": "new"}
        assert run.title == f"digits/mlp-w8/aug/ls{alpha:g}-after-mlp-w8-r-ls0/seed{seed}"
    same = of_group(study(baselines={"f": FINE | {"label_smoothing": [0.0, 0.1], "start": {"run": "t"}}}), "f")
    assert all(run.start.label_smoothing == alpha for (alpha, _), run in same.items())
    plain = of_group(study(baselines={"f": FINE}), "f")
    assert "start" not in plain[0.0, 0].spec
    assert plain[0.0, 0].identity != started[0.0, 0].identity


def test_the_weights_of_a_start_are_those_that_stand_for_its_run():
    best = study(recipes={"r": {"select": "best"}}, baselines={"f": FINE | {"start": {"run": "t"}}})
    assert of_group(best, "f")[0.0, 0].spec["start"]["weights"] == "best.safetensors"


def test_a_student_may_start_where_another_group_ended():
    group = RAW["students"]["s"] | {"start": {"run": "b"}, "temperature": 3}
    base = RAW["teachers"]["t"] | {"model": "plain_cnn", "label_smoothing": 0.0}
    one = study(students={"s": group}, baselines={"b": base})
    assert {run.title for run in students(one) if run.label_smoothing == 0.1} == {
        f"digits/plain_cnn/aug/kd-T3-from-mlp-w8-r-ls0.1-after-plain_cnn-r-ls0/seed{seed}" for seed in (0, 1)
    }


def test_groups_may_not_start_each_other_in_a_circle():
    groups = {"f": FINE | {"start": {"run": "g"}}, "g": FINE | {"start": {"run": "f"}}}
    with pytest.raises(UserError, match="groups f, g teach or start each other in a circle"):
        runs.members(study(baselines=groups))
    group = RAW["students"]["s"] | {"start": {"run": "b"}}
    born_again = {"teacher": "s", "model": "plain_cnn", "recipe": "r", "temperature": [2]}
    with pytest.raises(UserError, match="circle"):
        runs.members(study(students={"s": group, "b": born_again}))


def test_a_checkpoint_is_used_as_it_is_or_trained_further():
    start = {"checkpoint": "ckpt/{label_smoothing}/{seed}.pt", "keys": {"^fc": "head"}}
    given = {"model": {"name": "mlp", "width": 8}, "label_smoothing": [0.0, 0.1], "start": start}
    one = of_group(study(baselines={"c": given}), "c")
    run = one[0.1, 1]
    assert run.title == "digits/mlp-w8/given/ls0.1/seed1"
    assert (run.recipe, run.start, run.used_file) == (None, None, "model.safetensors")
    assert run.checkpoint == runs.Checkpoint("ckpt/0.1/1.pt", {"^fc": "head"}, "keep")
    assert "recipe" not in run.spec and "start" not in run.spec
    further = of_group(study(baselines={"c": given | {"recipe": "r"}}), "c")[0.1, 1]
    assert further.title == "digits/mlp-w8/r/ls0.1-after-mlp-w8-given-ls0.1/seed1"
    assert further.start.checkpoint == run.checkpoint and further.checkpoint is None
    assert further.start.title == run.title and further.start.identity == run.identity


def test_two_checkpoints_of_one_name_are_refused():
    group = {"model": {"name": "mlp", "width": 8}}
    both = {name: group | {"start": {"checkpoint": f"{name}.pt"}} for name in ("c", "d")}
    with pytest.raises(UserError, match="two different runs are called digits/mlp-w8/given/ls0/seed0"):
        runs.members(study(baselines=both))


def test_a_new_last_layer_must_be_trained():
    given = {"model": {"name": "mlp", "width": 8}, "start": {"checkpoint": "c.pt", "head": "new"}}
    with pytest.raises(UserError, match="start.head: new starts the last layer afresh, so it must be trained"):
        study(baselines={"c": given})


def test_a_start_from_a_group_without_runs_is_told():
    empty = RAW["students"]["s"] | {"teacher": "s", "label_smoothing": [0.7]}
    with pytest.raises(UserError, match="start.run: e has no runs"):
        runs.members(study(students=RAW["students"] | {"e": empty}, baselines={"f": FINE | {"start": {"run": "e"}}}))
