"""A user's own fairseq checkpoint."""

import pytest
import torch
from safetensors.torch import load_file

pytest.importorskip("fairseq")

from argparse import Namespace

from fairseq.trainer import Trainer

from lskd.errors import UserError
from lskd.io.seal import file_digest
from lskd.translation import start
from lskd.translation.train import Training
from lskd.translation.user_dir.criterion import cross_entropy
from tests.translation import small_corpus as small


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return small.corpus(tmp_path_factory.mktemp("corpus"))


def begun(folder, data, path):
    spec = {
        "model": {"name": "tiny"},
        "checkpoint": {"digest": file_digest(path), "keys": {}, "head": "keep"},
        "seed": 0,
    }
    work = small.work(folder / "start-0000000007", spec, {"data": data})
    work.place = path
    start.run(work)
    return work.folder


def fairseqs(folder, data):
    """A checkpoint by fairseq's own Trainer, and the network."""
    work = small.train_work(folder / "run-0000000001", data)
    training = Training(work, torch.device("cpu"), lambda training: cross_entropy)
    training._update(training.train.batch(training.batches[0]))
    path = folder / "checkpoint_best.pt"
    training.trainer.consolidate_optimizer()
    Trainer.save_checkpoint(training.trainer, str(path), {"train_iterator": {"epoch": 1}, "val_loss": 3.0})
    return path, training.network


def test_fairseqs_own_checkpoint_begins_a_run(tmp_path, data):
    path, network = fairseqs(tmp_path, data)
    folder = begun(tmp_path, data, path)
    tensors = load_file(folder / "model.safetensors")
    own = network.state_dict()
    assert tensors.keys() == own.keys()
    assert all(torch.equal(tensors[name], own[name]) for name in own)
    (row,) = small.history(folder)
    assert 0 < row["val_nll"] < 10 and 0 <= row["val_accuracy"] <= 1
    student = small.train_work(tmp_path / "more-0000000008", data, updates=0, dropout=0.0)
    student.spec["start"] = {"weights": "model.safetensors"}
    student.inputs["start"] = small.sealed(folder, small.TRAINED)
    training = Training(student, torch.device("cpu"), lambda training: cross_entropy)
    assert all(torch.equal(training.network.state_dict()[name], own[name]) for name in own)


def test_a_checkpoint_of_another_vocabulary_is_one_line(tmp_path, data):
    path, _ = fairseqs(tmp_path, data)
    larger = small.corpus(tmp_path, vocabulary=44)
    with pytest.raises(UserError, match=r"checkpoint_best\.pt: of a vocabulary of 40, not 44 as the corpus; name"):
        begun(tmp_path, larger, path)


def test_what_is_not_allowed_is_never_run(tmp_path, data):
    class Worse:
        def __reduce__(self):
            return (tmp_path.joinpath("ran").touch, ())

    path = tmp_path / "checkpoint_last.pt"
    torch.save({"model": {"a": torch.zeros(2)}, "args": Namespace(a=1), "extra_state": Worse()}, path)
    with pytest.raises(UserError, match="no state dict that loads with weights_only"):
        begun(tmp_path, data, path)
    assert not (tmp_path / "ran").exists()
    torch.save({"model": {"a": torch.zeros(2)}, "args": Namespace(a=1)}, path)
    with pytest.raises(UserError, match="these weights do not fit the model"):
        begun(tmp_path, data, path)
