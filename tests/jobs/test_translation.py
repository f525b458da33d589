"""Plans of translation: which jobs there are, what they share, and what is left out without the extra."""

import copy

import pytest

from lskd.errors import UserError
from lskd.jobs import checks
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.plan import Plan
from lskd.jobs.results import Results
from lskd.study import reading
from tests.study.test_translation import PICTURES, STUDY


def plan_of(study: dict, tmp_path, *names: str) -> Plan:
    declared = reading.parse(study)
    plan = Plan(declared, Catalogue({declared.study: declared}, Results(tmp_path / "results")), {})
    plan.ask(names)
    return plan


def stages(plan: Plan) -> dict[str, int]:
    counts: dict[str, int] = {}
    for job in plan.pending or []:
        counts[job.stage] = counts.get(job.stage, 0) + 1
    return counts


@pytest.fixture
def study():
    return copy.deepcopy(STUDY)


def test_students_at_each_t_share_a_store(study, tmp_path):
    plan = plan_of(study, tmp_path)
    assert stages(plan) == {"corpus": 1, "train": 6, "teacher_logits": 2, "translate": 6, "metrics": 1, "figure": 1}


@pytest.mark.parametrize(
    ("temperatures", "stores"),
    [([1, 2, 3, 64], 2), ([1, 5], 4)],  # the tail's mass is kept at the papers' T; another T has a store of its own
)
def test_a_tail_is_kept_at_the_usual_temperatures(study, tmp_path, temperatures, stores):
    study["students"]["s"] |= {"supervision": "kd_top_k", "k": [8], "temperature": temperatures}
    assert stages(plan_of(study, tmp_path))["teacher_logits"] == stores


def test_each_form_has_a_store(study, tmp_path):
    student = study["students"]["s"]
    study["students"] = {
        "whole": student,
        "top": student | {"supervision": "kd_top_k", "k": [4, 8], "tail": [True, False]},
        "drawn": student | {"supervision": "kd_sample", "sampled": [16]},
        "online": student | {"draws": "online"},
    }
    plan = plan_of(study, tmp_path)
    stores = {job.title.rpartition("/")[2] for job in plan.pending if job.stage == "teacher_logits"}
    assert stores == {"full-float32-by4096", "top4-float32-by4096", "top8-float32-by4096", "drawn16-by4096"}


def test_a_new_t_changes_no_address_that_was_there(study, tmp_path):
    before = {job.below for job in plan_of(study, tmp_path).pending if job.stage in ("train", "teacher_logits")}
    study["students"]["s"]["temperature"] = [1, 2, 3]
    after = {job.below for job in plan_of(study, tmp_path).pending if job.stage in ("train", "teacher_logits")}
    assert before < after and len(after - before) == 2


@pytest.mark.parametrize(
    ("path", "value", "changed"),
    [
        ("data/target", "ru", {"corpus", "train"}),
        ("data/pieces", 500, {"corpus", "train"}),
        ("data/longest", 50, {"corpus", "train"}),
        ("data/test_fraction", 0.1, {"corpus", "train"}),
        ("recipes/nmt/updates", 20, {"train"}),
        ("recipes/nmt/tokens", 500, {"train"}),
        ("recipes/nmt/lr", 1e-4, {"train"}),
        ("recipes/nmt/weight_decay", 0.1, {"train"}),
        ("recipes/nmt/warmup_updates", 5, {"train"}),
        ("recipes/nmt/dropout", 0.2, {"train"}),
        ("recipes/nmt/grad_clip", 1.0, {"train"}),
        ("recipes/nmt/validate_updates", 5, {"train"}),
        ("recipes/nmt/snapshot_updates", [5], {"train"}),
        ("teachers/t/smoothing", "others", {"train"}),
        ("teachers/t/model", "transformer_papers", {"train"}),
        ("recipes/nmt/select", "best", {"translate"}),
    ],
)
def test_every_key_that_is_used_changes_the_address(study, tmp_path, path, value, changed):
    study |= {"students": {}, "figures": {"decoding": {"kind": "decoding"}}}
    study["teachers"]["t"]["label_smoothing"] = [0.1]
    before = {job.stage: job.plain for job in plan_of(study, tmp_path).pending}
    part = study
    *outer, last = path.split("/")
    for key in outer:
        part = part[key]
    part[last] = value
    after = {job.stage: job.plain for job in plan_of(study, tmp_path).pending}
    assert {stage for stage in ("corpus", "train", "translate") if before[stage] != after[stage]} >= changed
    assert before["translate"] != after["translate"]


def test_a_corpus_is_known_by_its_bytes(study, tmp_path):
    for language in ("en", "de"):
        (tmp_path / f"train.{language}").write_text("a b c\n")
    study["data"] |= {"dataset": "aligned", "root": str(tmp_path)}
    before = plan_of(study, tmp_path).pending[0]
    (tmp_path / "train.de").write_text("a b d\n")
    assert before.stage == "corpus" and plan_of(study, tmp_path).pending[0].address != before.address


def test_an_unknown_pair_of_languages_is_told_when_planning(study, tmp_path):
    study["data"]["target"] = "fr"
    with pytest.raises(UserError, match="help_extract: found the pair en-fr; two different of de, en, ru are there"):
        plan_of(study, tmp_path)


def test_curves_need_snapshots(study, tmp_path):
    study["figures"] = {"curves": {"kind": "bleu_curves", "groups": ["t"]}}
    with pytest.raises(UserError, match="nmt: figures.curves: needs the course of training; give recipes.nmt some"):
        plan_of(study, tmp_path)


def test_a_target_without_the_extra_says_what_to_install(study, tmp_path, monkeypatch):
    monkeypatch.setattr(checks, "find_spec", lambda name: None if name == "fairseq" else object())
    with pytest.raises(UserError, match="translation needs fairseq, not installed here: make .venv/translation.ok"):
        plan_of(study, tmp_path)
    study["teachers"]["p"] = PICTURES
    study["figures"] = {
        "bleu": {"kind": "grid", "groups": ["t", "s"]},
        "top1": {"kind": "reliability", "groups": ["p"]},
    }
    plan = plan_of(study, tmp_path)
    assert "corpus" not in stages(plan) and stages(plan)["figure"] == 1
    assert plan.catalogue.notes == [
        "left out: bleu; translation needs fairseq, not installed here: make .venv/translation.ok"
    ]
    with pytest.raises(UserError, match="translation needs fairseq"):
        plan_of(study, tmp_path, "bleu")
