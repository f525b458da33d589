"""fairseq's Trainer on a tiny corpus: nothing dropped, both forms of smoothing, and an exact resume."""

import json
import math
import os
import signal

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("fairseq")

from fairseq.criterions.label_smoothed_cross_entropy import LabelSmoothedCrossEntropyCriterion
from fairseq.data import data_utils

from lskd.errors import UserError
from lskd.supervision import labels
from lskd.training import checkpoint
from lskd.translation import train
from lskd.translation.batches import Pairs, composed, next_token_logits, order
from lskd.translation.model import dictionary
from lskd.translation.tokens import EOS, PAD, Sentences, ragged, read_tokens
from lskd.translation.train import Training
from lskd.translation.user_dir import PairsTask, PairsTaskConfig, TokenCriterion
from tests.translation import small_corpus as small


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small.corpus(tmp_path_factory.mktemp("corpus"))


def same_files(one, two):
    for name in ("model", "best", "snapshots"):
        mine, theirs = (load_file(folder / f"{name}.safetensors") for folder in (one, two))
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[key], theirs[key]) for key in mine)
    return (one / "history.jsonl").read_text() == (two / "history.jsonl").read_text()


@pytest.mark.parametrize("count", [1, 7, 8, 57, 1002])
def test_no_sentence_is_dropped_and_no_batch_is_too_large(count):
    sentences = small.sentences(count, 3)
    composition = composed(sentences, 60, "x")
    assert sorted(np.concatenate(composition).tolist()) == list(range(count))
    pairs = Pairs(sentences, dictionary(small.VOCABULARY))
    for ids_b in composition:
        sample = pairs.batch(ids_b)
        assert sorted(sample["id"].tolist()) == sorted(ids_b.tolist())
        assert max(sample["target"].numel(), sample["net_input"]["src_tokens"].numel()) <= 60


def test_neighbours_in_length_stand_together():
    sentences = small.sentences(500, 3)
    composition = composed(sentences, 60, "x")
    spans = [np.ptp(sentences.source.lengths_n[ids_b]) for ids_b in composition]
    assert np.mean(spans) < 0.2 < np.ptp(sentences.source.lengths_n)


def test_a_sentence_longer_than_a_batch_is_one_line():
    with pytest.raises(UserError, match=r"recipe\.tokens is 5, but sentence \d+ has 10 tokens"):
        composed(small.sentences(57, 0), 5, "job")
    with pytest.raises(UserError, match="the corpus has no sentence"):
        composed(Sentences(ragged([]), ragged([])), 5, "job")


def test_the_order_is_a_function_of_seed_and_epoch():
    orders = {(seed, epoch): order(seed, epoch, 20) for seed in (0, 1) for epoch in (0, 1)}
    assert all(sorted(each) == list(range(20)) for each in orders.values())
    assert len(set(map(tuple, orders.values()))) == 4
    assert order(0, 1, 20) == orders[0, 1]


def test_a_batchs_rows_are_its_tokens_of_the_corpus_and_no_padding():
    sentences = small.sentences(30, 5)
    pairs = Pairs(sentences, dictionary(small.VOCABULARY))
    tokens = np.concatenate([[*sentences.target[number], EOS] for number in range(30)])
    sample = pairs.batch(np.array([3, 17, 4, 29, 0]))
    of_batch = sample["target"].reshape(-1)[sample["places"]]
    assert PAD not in of_batch.tolist()
    assert of_batch.tolist() == tokens[sample["rows"]].tolist()
    lengths = [len(sentences.target[number]) + 1 for number in sample["id"].tolist()]
    assert len(of_batch) == sum(lengths) == sample["ntokens"]


def test_logits_are_fairseqs_own_without_the_padding(data):
    torch.manual_seed(0)
    network = small.tiny(small.VOCABULARY, 0.0).eval()
    sample = Pairs(read_tokens(data / "tokens.safetensors", "train"), dictionary(small.VOCABULARY)).batch(np.arange(9))
    logits_nv, tokens_n = next_token_logits(network, sample)
    whole, _ = network(**sample["net_input"])
    places = sample["target"] != PAD
    assert torch.equal(tokens_n, sample["target"][places])
    torch.testing.assert_close(logits_nv, whole[places], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("form", ["uniform", "others"])
def test_smoothing_is_a_loop_over_tokens_and_fairseqs_criterion(data, form):
    smoothing = 0.1
    task = PairsTask.setup_task(PairsTaskConfig(data=str(data)))
    torch.manual_seed(0)
    network = small.tiny(small.VOCABULARY, 0.0)
    sample = task.pairs("train").batch(np.arange(9))
    assert (sample["target"] == PAD).any()

    def loss(logits_nv, tokens_n, sample):
        return labels.loss(logits_nv, tokens_n, label_smoothing=smoothing, smoothing=form)

    value, size, logged = TokenCriterion(task, loss)(network, sample)
    assert size == 1
    value.backward()
    gradient = network.encoder.embed_tokens.weight.grad.clone()

    log_p, total, count = torch.log_softmax(network(**sample["net_input"])[0].double(), -1), 0.0, 0
    classes = small.VOCABULARY
    rest = smoothing / {"uniform": classes, "others": classes - 1}[form]
    for sentence, tokens in zip(log_p, sample["target"].tolist(), strict=True):
        for log_p_v, token in zip(sentence.tolist(), tokens, strict=True):
            if token == PAD:
                continue
            count += 1
            for number, value_of in enumerate(log_p_v):
                on_token = 1 - smoothing + (rest if form == "uniform" else 0.0)
                total -= (on_token if number == token else rest) * value_of
    assert logged["ntokens"] == count
    assert value.item() == pytest.approx(total / count, rel=1e-5)

    network.zero_grad()
    theirs = smoothing if form == "others" else smoothing * (classes - 1) / classes
    their_loss, their_size, _ = LabelSmoothedCrossEntropyCriterion(task, False, theirs)(network, sample)
    assert their_size == count
    assert value.item() == pytest.approx(their_loss.item() / their_size, rel=1e-5)
    (their_loss / their_size).backward()
    torch.testing.assert_close(gradient, network.encoder.embed_tokens.weight.grad, rtol=1e-4, atol=1e-7)


def test_it_learns_and_writes_what_a_training_writes(tmp_path):
    data = small.corpus(tmp_path, 600)
    recipe = {"updates": 150, "lr": 0.02, "tokens": 400, "dropout": 0.0, "validate_updates": 50}
    folder = small.trained(tmp_path, data, snapshot_updates=[0, 30], **recipe)
    rows = small.history(folder)
    assert [row["update"] for row in rows] == [50, 100, 150]
    assert rows[0].keys() == {"update", "epoch", "lr", "loss", "val_nll", "val_accuracy"}
    assert rows[0]["val_nll"] > rows[-1]["val_nll"] < math.log(small.VOCABULARY) - 0.5
    assert rows[0]["lr"] == pytest.approx(0.02 * math.sqrt(4 / 50))
    model, snapshots = (load_file(folder / f"{name}.safetensors") for name in ("model", "snapshots"))
    assert snapshots.keys() == {f"{update}/{name}" for update in (0, 30) for name in model}
    network = small.tiny(small.VOCABULARY, 0.0)
    network.load_state_dict(model)


def test_validation_is_of_each_token_of_val_once(tmp_path, data):
    folder = small.trained(tmp_path, data, updates=4)
    network = small.tiny(small.VOCABULARY, 0.0)
    network.load_state_dict(load_file(folder / "model.safetensors"))
    network.eval()
    val = read_tokens(data / "tokens.safetensors", "val")
    pairs, nll, correct, count = Pairs(val, dictionary(small.VOCABULARY)), 0.0, 0, 0
    for number in range(len(val)):
        sample = pairs.batch(np.array([number]))
        logits = network(**sample["net_input"])[0][0].double()
        tokens = sample["target"][0]
        nll -= torch.log_softmax(logits, 1)[torch.arange(len(tokens)), tokens].sum().item()
        correct += (logits.argmax(1) == tokens).sum().item()
        count += len(tokens)
    row = small.history(folder)[-1]
    assert row["val_nll"] == pytest.approx(nll / count, rel=1e-5)
    assert row["val_accuracy"] == pytest.approx(correct / count)


def test_optimiser_and_schedule_are_the_papers(tmp_path, data):
    work = small.train_work(tmp_path / "job-0000000001", data)
    training = Training(work, torch.device("cpu"), lambda training: lambda logits, tokens, sample: logits.sum() * 0)
    group = training.trainer.optimizer.optimizer.param_groups[0]
    assert (tuple(group["betas"]), group["eps"], group["weight_decay"]) == ((0.9, 0.98), 1e-8, 0.01)
    rates = []
    for update in (0, 2, 4, 16):
        training.trainer.set_num_updates(update)
        rates.append(training.trainer.get_lr())
    assert rates == pytest.approx([0, 0.005, 0.01, 0.005])


@pytest.mark.parametrize("supervision", [small.LABELS, {"way": "kd", "temperature": 2.0}])
def test_resume_is_exact_from_anywhere_with_dropout(tmp_path, data, monkeypatch, supervision):
    teacher = small.trained(tmp_path, data, updates=2)
    logits = small.stored(tmp_path, data, teacher)

    def make(root):
        folder = root / "run-0000000003"
        if supervision["way"] == "labels":
            small.train.run(small.train_work(folder, data, updates=23, tokens=120, snapshot_updates=[5, 20]))
        else:
            small.student(folder, data, logits, supervision, updates=23, tokens=120, snapshot_updates=[5, 20])
        return folder

    whole = make(tmp_path / "whole")
    update = Training._update
    # 4 or 5 batches an epoch: at a validation, within an epoch, at its end
    for stop_at, number in ((1, signal.SIGTERM), (4, signal.SIGINT), (7, signal.SIGTERM), (15, signal.SIGTERM)):

        def stopping(self, sample, stop_at=stop_at, number=number):
            update(self, sample)
            if self.update == stop_at:
                os.kill(os.getpid(), number)

        monkeypatch.setattr(Training, "_update", stopping)
        with pytest.raises(SystemExit) as stopped:
            make(tmp_path / "broken")
        assert stopped.value.code == 128 + number
        torch.rand(7)  # what another process may have drawn
        saved = torch.load(tmp_path / "broken/run-0000000003" / checkpoint.NAME, weights_only=True)
        assert saved["state"]["update"] == stop_at
    monkeypatch.undo()
    broken = make(tmp_path / "broken")
    assert same_files(whole, broken)
    assert sorted(path.name for path in broken.iterdir()) == sorted(small.TRAINED)


def test_a_killed_training_goes_on_from_its_last_validation(tmp_path, data, monkeypatch):
    whole = small.trained(tmp_path / "whole", data)
    update = Training._update

    def dying(self, sample):
        if self.update == 6:
            raise MemoryError  # nothing is saved on the way out
        update(self, sample)

    monkeypatch.setattr(Training, "_update", dying)
    with pytest.raises(MemoryError):
        small.trained(tmp_path / "broken", data)
    monkeypatch.undo()
    saved = torch.load(tmp_path / "broken/teacher-0000000001" / checkpoint.NAME, weights_only=True)
    assert saved["state"]["update"] == 4
    assert same_files(whole, small.trained(tmp_path / "broken", data))


def test_seeds_differ_in_everything_but_the_batches(tmp_path, data):
    one, two = (
        load_file(small.trained(tmp_path / str(seed), data, seed=seed) / "model.safetensors") for seed in (0, 1)
    )
    assert not torch.equal(one["encoder.embed_tokens.weight"], two["encoder.embed_tokens.weight"])


def test_a_loss_that_is_not_finite_is_one_line(tmp_path, data):
    with pytest.raises(UserError, match=r"the (loss|gradient) is .* after update \d+ at lr .*; lower its recipe's lr"):
        small.trained(tmp_path, data, lr=1e30, updates=30)


def test_its_progress_tells_updates_and_tokens(tmp_path, data, monkeypatch, capfd):
    monkeypatch.setenv("LSKD_RUNNING", str(tmp_path / "running"))
    seen = []
    monkeypatch.setattr("lskd.jobs.progress.TICK_SECONDS", 0.0)
    validate = train.validate

    def looking(*given):
        seen.append(json.loads((tmp_path / "running/0000000001.json").read_text()))
        return validate(*given)

    monkeypatch.setattr(train, "validate", looking)
    small.trained(tmp_path, data)
    assert (seen[-1]["updates"], seen[-1]["steps"]) == (10, 10)
    assert {"update", "val_nll", "tokens_per_second"} <= seen[-1].keys()
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("teacher: ")]
    assert lines and lines[-1].startswith("teacher: update 10/10 loss ")
    assert "val NLL" in lines[-1] and "tokens/s" in lines[-1]


def test_the_corpus_is_read_by_its_seal(tmp_path):
    folder = small.corpus(tmp_path)
    path = folder / "tokens.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"tokens\.safetensors: damaged"):
        small.trained(tmp_path, folder)


def test_fairseqs_default_would_drop_sentences():
    """Why `composed` asks for multiples of 1."""
    sizes_n = np.full(1002, 6)
    kept = data_utils.batch_by_size(np.arange(1002), None, sizes_n, 60, required_batch_size_multiple=8)
    assert sum(map(len, kept)) < 1002
