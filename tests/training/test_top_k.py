"""Students of the k largest logits of their teacher: what is stored, what it costs; all of them are plain KD."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, logsumexp, softmax

from lskd.errors import UserError
from lskd.inference import top_k_logits
from lskd.io.store import open_logits, open_top_k, quantisation_error, write_top_k
from lskd.supervision import kd, kd_top_k, labels
from lskd.training.top_k import read_table
from tests import small
from tests.training.taught import AUGMENTED, CPU, store, train_split

TOP = {"way": "kd_top_k", "temperature": 2.0}


def students(how=None, **fields):
    """One that is taught by all logits, and one by the k largest."""
    teacher, fields = small.teacher(**AUGMENTED), AUGMENTED | {"epochs": 3} | fields
    whole = {"way": "kd", "temperature": 2.0} | {key: how[key] for key in how or {} if key not in ("k", "tail")}
    return (small.student(teacher, "resnet8", 2, each, **fields) for each in (whole, TOP | (how or {})))


def top_store(student, root, data, weights):
    work = small.work(small.CATALOGUE.teacher_logits(student), root, {"data": data, "weights": weights})
    top_k_logits.store(work, CPU)
    return small.sealed(work.folder, "teacher_logits")


def learn(run, root, data, folder):
    """The losses of a training's steps."""
    work = small.work(small.CATALOGUE.train(run), root, {"data": data, "teacher": folder})
    losses, loss = [], work.functions["loss"]

    def noting(*given, **options):
        value = loss(*given, **options)
        losses.append(value.item())
        return value

    work.functions["loss"] = noting
    small.run(work, "train")
    return losses


def test_a_store_holds_the_largest_logits_and_the_tail_of_the_others_at_each_t(tmp_path, data, weights):
    whole, top = students({"k": 2, "draws": 2})
    full = open_logits(store(whole, tmp_path, data, weights) / "logits.parquet")
    file = open_top_k(top_store(top, tmp_path, data, weights) / "logits.parquet")
    spec = file.metadata["spec"]
    assert file.draws == full.draws == (1, 2) and (spec["form"], spec["k"]) == ("top_k", 2)
    for draw in file.draws:
        samples_n, labels_n, logits_nk = full.read_draw(draw)
        samples, labels_, listed_nk, tail_nd, top_nk = file.read_draw(draw)
        assert (samples == samples_n).all() and (labels_ == labels_n).all()
        order_nk = np.argsort(-logits_nk, 1)
        assert listed_nk.dtype == np.int32 and (listed_nk == order_nk[:, :2]).all()
        assert (top_nk == np.take_along_axis(logits_nk, order_nk[:, :2], 1)).all()
        others_nk = np.take_along_axis(logits_nk, order_nk[:, 2:], 1).astype(float)
        for place, t in enumerate(spec["temperatures"]):
            np.testing.assert_allclose(tail_nd[:, place], logsumexp(others_nk / t, axis=1), rtol=1e-6, atol=1e-6)
    assert not (full.read_draw(1)[2] == full.read_draw(2)[2]).all()


@pytest.mark.parametrize("how", [{}, {"soft_weight": 0.6, "hard_smoothing": 0.1}, {"t_squared": False, "draws": 2}])
@pytest.mark.parametrize("mixup", [0.0, 0.4])
def test_students_of_all_classes_learn_what_plain_kd_teaches(tmp_path, data, weights, how, mixup):
    whole, top = students(how | {"k": 3}, mixup=mixup)
    expected = learn(whole, tmp_path, data, store(whole, tmp_path, data, weights))
    actual = learn(top, tmp_path, data, top_store(top, tmp_path, data, weights))
    assert len(actual) == len(expected) > 10
    assert actual == pytest.approx(expected, rel=2e-4, abs=1e-6)


@pytest.mark.parametrize("tail", [True, False])
def test_fewer_classes_teach_something_else(tmp_path, data, weights, tail):
    whole, top = students({"k": 1, "tail": tail})
    expected = learn(whole, tmp_path, data, store(whole, tmp_path, data, weights))
    actual = learn(top, tmp_path, data, top_store(top, tmp_path, data, weights))
    assert actual[0] != pytest.approx(expected[0], rel=1e-3)
    assert actual[-1] < actual[0]


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("temperature", [1.0, 4.0, 64.0])
@pytest.mark.parametrize("k", [1, 10, 50])
def test_what_a_store_of_many_classes_leaves_out_is_bounded(tmp_path, dtype, temperature, k):
    """KL_k is at most KL and at least KL less `most_error`, p of a class is off by what rounding its logit allows."""
    draw = np.random.default_rng(0)
    teacher_nk, student_nk = (draw.normal(0, 3, (40, 300)) for _ in range(2))
    listed_nk, top_nk, tail_nd = kd_top_k.top_k(torch.from_numpy(teacher_nk).float(), k, [1.0, temperature])
    columns = (0, np.arange(40), np.zeros(40, int), listed_nk.numpy(), tail_nd.numpy(), top_nk.numpy())
    write_top_k(tmp_path / "logits.parquet", [columns], k, 2, dtype, {})
    _, _, listed, tail, top = open_top_k(tmp_path / "logits.parquet").read_draw(0)
    assert top.dtype == dtype and (listed == np.argsort(-teacher_nk, 1)[:, :k]).all()
    p_nk, rest_n = kd_top_k.softened(torch.from_numpy(top), torch.from_numpy(tail[:, 1]), temperature)
    exact_nk = softmax(teacher_nk / temperature, axis=1)
    kept_nk = np.take_along_axis(exact_nk, listed.astype(int), 1)
    off_n = (np.abs(p_nk.numpy() - kept_nk).sum(1) + np.abs(rest_n.numpy() - (1 - kept_nk.sum(1)))) / 2
    rounding = quantisation_error(teacher_nk, dtype, [])["logit"]
    assert off_n.max() <= rounding / (2 * temperature) + 1e-6
    given = (torch.from_numpy(listed.astype(np.int64)), p_nk, rest_n)
    student = torch.from_numpy(student_nk).float()
    for row in range(40):
        one = tuple(each[row : row + 1] for each in given)
        targets = torch.zeros(1, dtype=torch.int64)
        kl_k = kd_top_k.loss(student[row : row + 1], targets, *one, temperature=temperature, t_squared=False).item()
        log_p, log_q = log_softmax(teacher_nk[row] / temperature), log_softmax(student_nk[row] / temperature)
        kl = (np.exp(log_p) * (log_p - log_q)).sum()
        most = kd_top_k.most_error(student[row : row + 1], *one, temperature).item()
        # rounding moves a probability's part of KL by at most its change times the largest ratio of p and q
        slack = 1e-5 + 2 * off_n[row] * np.abs(log_p - log_q).max() * (1 if dtype == "float16" else 0)
        assert kl_k - slack <= kl <= kl_k + most + slack


def test_blended_labels_are_smoothed_as_distributions():
    draw = torch.Generator().manual_seed(0)
    student_nk, teacher_nk = (torch.randn(9, 12, generator=draw) * 3 for _ in range(2))
    targets_nk = torch.softmax(torch.randn(9, 12, generator=draw), 1)
    listed_nk, top_nk, tail_nd = kd_top_k.top_k(teacher_nk, 12, [3.0])
    assert (tail_nd == -torch.inf).all()
    p_nk, rest_n = kd_top_k.softened(top_nk, tail_nd[:, 0], 3.0)
    options = {"temperature": 3.0, "soft_weight": 0.3}
    mine = kd_top_k.loss(student_nk, targets_nk, listed_nk, p_nk, rest_n, **options, hard_smoothing=0.2)
    soft = kd.loss(student_nk, targets_nk, teacher_nk, temperature=3.0)
    hard = labels.loss(student_nk, targets_nk, label_smoothing=0.2)
    assert mine.item() == pytest.approx((0.3 * soft + 0.7 * hard).item(), rel=1e-5)


def test_wrong_stores_are_one_line(tmp_path, data, weights):
    whole, top = students({"k": 2})
    full, folder = store(whole, tmp_path, data, weights), top_store(top, tmp_path, data, weights)
    with pytest.raises(UserError, match="its columns are sample, draw, label, logits, not sample, draw, label, listed"):
        learn(top, tmp_path / "a", data, full)
    with pytest.raises(UserError, match="its columns are sample, draw, label, listed, tail, logits, not"):
        learn(whole, tmp_path / "b", data, folder)
    _, at_7 = students({"k": 2, "temperature": 7.0})
    with pytest.raises(UserError, match=r"holds the tail at T 1, 2, 3, 4, 8, 64, not at 7"):
        learn(at_7, tmp_path / "c", data, folder)
    source = train_split(data)
    other = replace(source, labels_n=2 - source.labels_n)
    with pytest.raises(UserError, match="labels are not those of the training data"):
        read_table(open_top_k(folder / "logits.parquet"), 1, other, lambda *given: given, None)
    small.flip(folder / "logits.parquet", 2000)
    with pytest.raises(UserError, match="have changed since they were written"):
        learn(top, tmp_path / "d", data, folder)


def test_the_jobs_say_what_is_stored_and_students_at_the_usual_t_share_it():
    def job(**how):
        return small.CATALOGUE.teacher_logits(small.student(small.teacher(), how=TOP | how, flip=True))

    first = job(k=2)
    assert first.title.endswith("/draws3-flip-top2-float32")
    assert first.functions["run"] == "lskd.inference.top_k_logits:run"
    assert first is job(k=2, temperature=8.0) is job(k=2, tail=False)
    assert job(k=2, temperature=7.0).title.endswith("-top2-float32-T7")
    assert job(k=2, temperature=7.0).spec["temperatures"] == [7.0]
    assert job(k=5) is not first
    train = small.CATALOGUE.train(small.student(small.teacher(), how=TOP | {"k": 2}, flip=True))
    assert train.inputs["teacher"] is first and train.functions["run"] == "lskd.training.top_k:run"
    assert "form" not in small.CATALOGUE.teacher_logits(small.student(small.teacher(), flip=True)).spec
