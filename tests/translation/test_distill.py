"""Students of stored and of online teachers, and what a store says of wrong ones."""

import math

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("fairseq")

from lskd.errors import UserError
from lskd.supervision import kd, kd_sample, kd_top_k, labels
from lskd.training.schedules import generator
from lskd.translation import distill
from lskd.translation.batches import Pairs, next_token_logits
from lskd.translation.losses import kd as fused_kd
from lskd.translation.losses import softened
from lskd.translation.model import dictionary, load_model
from lskd.translation.store import open_map, read_blocks, read_origin, softening
from lskd.translation.teacher_logits import drawn
from lskd.translation.tokens import EOS, read_tokens
from tests.translation import small_corpus as small

CPU = torch.device("cpu")
KD = {"way": "kd", "temperature": 2.0}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("distil")


@pytest.fixture(scope="module")
def data(root):
    return small.corpus(root)


@pytest.fixture(scope="module")
def teacher(root, data):
    return small.trained(root, data, updates=40)


@pytest.fixture(scope="module")
def full(root, data, teacher):
    return small.stored(root, data, teacher)


def rows_of(folder):
    blocks = list(read_blocks(folder / "logits.parquet"))
    return {name: np.concatenate([block[name] for block in blocks]) for name in blocks[0]}


def teacher_logits(data, teacher):
    """The teacher's logits by (sentence, position), a sentence at a time."""
    network = load_model(small.tiny, {"name": "tiny"}, teacher / "model.safetensors")
    train = read_tokens(data / "tokens.safetensors", "train")
    pairs = Pairs(train, dictionary(small.VOCABULARY))
    with torch.no_grad():
        for number in range(len(train)):
            logits_tv, tokens_t = next_token_logits(network, pairs.batch(np.array([number])))
            for position, (logits_v, token) in enumerate(zip(logits_tv, tokens_t.tolist(), strict=True)):
                yield number, position, token, logits_v


def test_the_archive_holds_the_teachers_logits_of_each_target_token(data, teacher, full):
    rows = rows_of(full)
    train = read_tokens(data / "tokens.safetensors", "train")
    assert len(rows["token"]) == train.target.lengths_n.sum() + len(train)
    assert (rows["token"] == EOS).sum() == len(train)
    keys = zip(rows["sentence"].tolist(), rows["position"].tolist(), strict=True)
    at = {key: row for row, key in enumerate(keys)}
    assert len(at) == len(rows["token"])
    for sentence, position, token, logits_v in teacher_logits(data, teacher):
        row = at[sentence, position]
        assert rows["token"][row] == token
        np.testing.assert_allclose(rows["logits"][row], logits_v.numpy(), rtol=1e-4, atol=1e-4)


def test_it_opens_anywhere_and_says_what_it_is(full):
    table = pq.read_table(full / "logits.parquet")
    assert table.column_names == ["sentence", "position", "token", "logits"]
    assert table.column("logits").type.list_size == small.VOCABULARY
    assert read_origin(full / "logits.parquet")["address"] == "0000000002"


@pytest.mark.parametrize(
    "more", [{}, {"soft_weight": 0.7, "hard_smoothing": 0.1}, {"temperature": 64.0, "t_squared": False}]
)
def test_cached_is_online_to_the_bit_over_30_updates(tmp_path, data, teacher, full, more, monkeypatch):
    losses = {}
    for name, of, is_online in (("cached", full, False), ("online", teacher, True)):
        seen = losses[name] = []
        plain = small.train.Training._update

        def noting(self, sample, plain=plain, seen=seen):
            before = self.sums[0].item()
            plain(self, sample)
            seen.append(self.sums[0].item() - before)

        with monkeypatch.context() as patch:
            patch.setattr(small.train.Training, "_update", noting)
            folder = tmp_path / f"{name}-0000000004"
            small.student(folder, data, of, KD | more, is_online, updates=30, validate_updates=30, dropout=0.0)
    assert len(losses["cached"]) == 30
    assert losses["cached"] == losses["online"]
    one, two = (load_file(tmp_path / f"{name}-0000000004/model.safetensors") for name in ("cached", "online"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_float16_teaches_nearly_the_same(tmp_path, data, teacher, full):
    half = small.stored(tmp_path, data, teacher, dtype="float16")
    assert (half / "logits.parquet").stat().st_size < 0.6 * (full / "logits.parquet").stat().st_size
    rows = []
    for number, logits in enumerate((full, half)):
        folder = tmp_path / f"{number}-0000000004"
        small.student(folder, data, logits, KD, updates=8, dropout=0.0)
        rows.append(small.history(folder)[-1]["loss"])
    assert rows[0] != rows[1]
    assert rows[0] == pytest.approx(rows[1], rel=1e-3)


def test_the_loss_on_whole_distributions_is_that_of_images():
    torch.manual_seed(0)
    student_nk, teacher_nk, targets_n = torch.randn(9, 40), 3 * torch.randn(9, 40), torch.randint(40, (9,))
    for options in (
        {"temperature": 1.0},
        {"temperature": 3.0, "soft_weight": 0.6},
        {"temperature": 3.0, "teacher_temperature": 2.0, "t_squared": False},
        {"temperature": 2.0, "soften_student": False},
        {"temperature": 2.0, "reduction": "mean"},
    ):
        softening_t = options.get("teacher_temperature", options["temperature"])
        mine = fused_kd(student_nk, targets_n, lambda part, t=softening_t: softened(teacher_nk[part], t), **options)
        assert mine.item() == pytest.approx(kd.loss(student_nk, targets_n, teacher_nk, **options).item(), rel=1e-5)
    smooth = {"temperature": 2.0, "soft_weight": 0.25}
    mine = fused_kd(student_nk, targets_n, lambda part: softened(teacher_nk[part], 2.0), hard_smoothing=0.1, **smooth)
    soft = kd.loss(student_nk, targets_n, teacher_nk, temperature=2.0)
    hard = labels.loss(student_nk, targets_n, label_smoothing=0.1)
    assert mine.item() == pytest.approx((0.25 * soft + 0.75 * hard).item(), rel=1e-5)


def map_of(folder, data, supervision, tmp_path):
    path = folder / "logits.parquet"
    soften = softening(read_origin(path), supervision, CPU, path)
    return open_map(path, read_tokens(data / "tokens.safetensors", "train").target, soften, tmp_path)


@pytest.mark.parametrize("temperature", [1.0, 2.0, 64.0])
def test_top_k_of_all_tokens_is_the_full_kl(tmp_path, data, teacher, full, temperature):
    top = small.stored(tmp_path, data, teacher, form="top_k", k=1000)
    supervision = {"temperature": temperature}
    whole = map_of(full, data, {"way": "kd"} | supervision, tmp_path).arrays["p"]
    of_all = map_of(top, data, {"way": "kd_top_k"} | supervision, tmp_path)
    assert of_all.arrays["listed"].shape[1] == small.VOCABULARY
    torch.manual_seed(0)
    student_nv, tokens_n = 3 * torch.randn(len(whole), small.VOCABULARY), torch.zeros(len(whole), dtype=torch.int64)
    expected = fused_kd(student_nv, tokens_n, lambda part: whole[part], temperature=temperature)
    given = (of_all.arrays["listed"].long(), of_all.arrays["p"], of_all.arrays["rest"].squeeze(1))
    assert (given[2] == 0).all()
    assert kd_top_k.loss(student_nv, tokens_n, *given, temperature=temperature).item() == pytest.approx(
        expected.item(), rel=1e-5
    )


@pytest.mark.parametrize("has_tail", [True, False])
def test_a_top_k_map_is_the_teachers_likeliest_tokens_and_the_rest(tmp_path, data, teacher, full, has_tail):
    top = small.stored(tmp_path, data, teacher, form="top_k", k=4)
    taught = map_of(top, data, {"way": "kd_top_k", "temperature": 2.0, "tail": has_tail}, tmp_path)
    logits = rows_of(full)["logits"].astype(np.float64)
    p = np.exp(logits / 2 - np.logaddexp.reduce(logits / 2, 1, keepdims=True))
    listed = np.argsort(-logits, 1)[:, :4]
    expected = np.take_along_axis(p, listed, 1)
    rest = 1 - expected.sum(1)
    assert rest.max() > 0.1
    if not has_tail:
        expected, rest = expected / expected.sum(1, keepdims=True), 0 * rest
    assert (taught.arrays["listed"].numpy() == listed).all()
    np.testing.assert_allclose(taught.arrays["p"].numpy(), expected, rtol=1e-5)
    np.testing.assert_allclose(taught.arrays["rest"].numpy()[:, 0], rest, rtol=1e-5, atol=1e-6)


def test_without_a_tail_it_is_the_papers_code_less_a_constant():
    """alpha T^2 CE(softmax(top4/T), log_softmax(s/T)) + (1 - alpha) label-smoothed CE."""
    generator_ = torch.Generator().manual_seed(0)
    student_nv, teacher_nv = (torch.randn(12, 50, generator=generator_) * 3 for _ in range(2))
    tokens_n = torch.randint(50, (12,), generator=generator_)
    top_nk, listed_nk = teacher_nv.topk(4, 1)
    p_nk = torch.softmax(top_nk / 64, 1)
    z_nv = student_nv.clone().requires_grad_()
    mine = kd_top_k.loss(
        z_nv, tokens_n, listed_nk, p_nk, torch.zeros(12), temperature=64.0, soft_weight=0.9, hard_smoothing=0.1
    )
    mine.backward()
    right_nv = student_nv.double().requires_grad_()
    soft = -(p_nk.double() * torch.log_softmax(right_nv / 64, 1).gather(1, listed_nk)).sum(1).mean()
    hard = labels.loss(right_nv, tokens_n, label_smoothing=0.1)
    theirs = 0.9 * 64**2 * soft + 0.1 * hard
    theirs.backward()
    entropy = -(p_nk.double() * p_nk.double().log()).sum(1).mean()
    assert mine.item() == pytest.approx((theirs - 0.9 * 64**2 * entropy).item(), rel=1e-5)
    torch.testing.assert_close(z_nv.grad, right_nv.grad.float(), rtol=1e-4, atol=1e-6)


def test_samples_teach_without_bias_at_t_1_and_with_bias_above():
    torch.manual_seed(0)
    teacher_nv, student_nv = 2 * torch.randn(1, 30), torch.randn(1, 30)
    draws, sampled = 4000, 16
    counts_nv = drawn(teacher_nv.expand(draws, -1), sampled, generator("test", 0))
    assert (counts_nv.sum(1) == sampled).all()
    counts_nk, listed_nk = counts_nv.topk(sampled, 1)
    tokens_n = torch.zeros(draws, dtype=torch.int64)
    off = {}
    for temperature in (1.0, 4.0):
        weights_nk = kd_sample.sample_weights(counts_nk, teacher_nv.expand(draws, -1).gather(1, listed_nk), temperature)
        z_nv = student_nv.clone().requires_grad_()
        options = {"temperature": temperature, "t_squared": False}
        kd_sample.loss(z_nv.expand(draws, -1), tokens_n, listed_nk, weights_nk, **options).backward()
        mean_v, right_nv = z_nv.grad[0], student_nv.clone().requires_grad_()
        kd.loss(right_nv, tokens_n[:1], teacher_nv, **options).backward()
        p_v = torch.softmax(teacher_nv[0] / temperature, 0)
        # the mean of `draws` rows of `sampled` draws: 5 standard errors of a frequency
        error_v = 5 * (p_v * (1 - p_v) / (draws * sampled)).sqrt() / temperature + 1e-6
        off[temperature] = ((mean_v - right_nv.grad[0]).abs() / error_v).max().item()
    assert off[1.0] < 1
    assert off[4.0] > 4


def test_a_weight_is_the_share_of_draws_at_t_1():
    counts_nk, logits_nk = torch.tensor([[3, 1, 0]]), torch.tensor([[5.0, -2.0, 1.0]])
    assert torch.allclose(kd_sample.sample_weights(counts_nk, logits_nk, 1.0), torch.tensor([[0.75, 0.25, 0.0]]))
    two = kd_sample.sample_weights(counts_nk, logits_nk, 2.0)[0]
    assert (two[0] / two[1]).item() == pytest.approx(3 * math.exp(-2.5) / math.exp(1.0))


@pytest.mark.parametrize(
    "spec, supervision",
    [
        ({"form": "top_k", "k": 8}, {"way": "kd_top_k", "k": 8, "tail": True, "temperature": 2.0}),
        (
            {"form": "top_k", "k": 4},
            {"way": "kd_top_k", "k": 4, "tail": False, "temperature": 64.0, "soft_weight": 0.9},
        ),
        ({"form": "sample", "sampled": 6}, {"way": "kd_sample", "sampled": 6, "temperature": 1.0}),
    ],
)
def test_each_form_teaches(tmp_path, data, teacher, spec, supervision):
    logits = small.stored(tmp_path, data, teacher, **spec)
    folder = tmp_path / "student-0000000004"
    small.student(folder, data, logits, supervision, updates=12, validate_updates=3, dropout=0.0)
    rows = small.history(folder)
    assert rows[-1]["loss"] < rows[0]["loss"]
    assert sorted(path.name for path in folder.iterdir()) == sorted(small.TRAINED)


def test_wrong_stores_are_one_line(tmp_path, root, data, teacher, full):
    top = small.stored(tmp_path, data, teacher, form="top_k", k=4)
    for logits, supervision, what in (
        (full, {"way": "kd_top_k", "temperature": 2.0}, "holds the form full, but supervision kd_top_k needs top_k"),
        (top, {"way": "kd_top_k", "temperature": 3.0}, "holds the tail at T 1, 2, 64, not at 3"),
    ):
        with pytest.raises(UserError, match=what):
            small.student(tmp_path / "student-0000000004", data, logits, supervision)
    other = small.corpus(tmp_path, seed=9)
    with pytest.raises(UserError, match="does not hold each target token of this corpus once"):
        small.student(tmp_path / "student-0000000004", other, full, KD)
    fewer = small.corpus(tmp_path, 40)
    with pytest.raises(UserError, match="does not hold each target token of this corpus once"):
        small.student(tmp_path / "student-0000000004", fewer, full, KD)
    foreign = tmp_path / "logits-0000000009"
    foreign.mkdir()
    (foreign / "logits.parquet").write_bytes((full / "logits.parquet").read_bytes())
    small.sealed(foreign, ("logits.parquet",))
    with pytest.raises(UserError, match="holds the logits of another teacher"):
        small.student(tmp_path / "student-0000000004", data, foreign, KD)


def test_a_changed_byte_is_told(tmp_path, data, teacher):
    logits = small.stored(tmp_path, data, teacher)
    path = logits / "logits.parquet"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"logits\.parquet: damaged"):
        small.student(tmp_path / "student-0000000004", data, logits, KD)


def test_a_teacher_of_another_vocabulary_is_one_line(tmp_path, data, teacher):
    larger = small.corpus(tmp_path, vocabulary=44)
    with pytest.raises(UserError, match="of a vocabulary of 40, not 44 as the corpus"):
        small.student(tmp_path / "student-0000000004", larger, teacher, KD, is_online=True)
    with pytest.raises(UserError, match="of a vocabulary of 40, not 44 as the corpus"):
        small.stored(tmp_path, larger, teacher)


def test_float16_beyond_its_range_is_one_line(tmp_path, data, teacher, monkeypatch):
    from lskd.translation import teacher_logits as stage

    monkeypatch.setattr(stage, "next_token_logits", lambda *given: _times(1e6, next_token_logits(*given)))
    with pytest.raises(UserError, match="beyond float16"):
        small.stored(tmp_path, data, teacher, dtype="float16")


def _times(factor, given):
    return factor * given[0], given[1]


def test_what_tells_how_a_teacher_is_stored_is_no_option_of_a_loss():
    for way in (kd, kd_top_k, kd_sample):
        stored = {option.name for option in way.OPTIONS} & set(distill.OF_TARGETS)
        assert stored == {"kd": set(), "kd_top_k": {"k", "tail"}, "kd_sample": {"sampled"}}[way.__name__.split(".")[-1]]
