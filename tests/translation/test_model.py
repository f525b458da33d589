"""The networks: their sizes, one table of embeddings, and what wrong weights say."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

pytest.importorskip("fairseq")

from lskd.errors import UserError
from lskd.io.tensors import write_tensors
from lskd.models.network import weights
from lskd.translation import model
from tests.translation import small_corpus as small


@pytest.mark.parametrize(
    "build, layers, width, inner",
    [
        (model.transformer_small, 2, 128, 256),
        (model.transformer_papers, 2, 256, 1024),
        (model.transformer_iwslt_de_en, 6, 512, 1024),
    ],
)
def test_sizes(build, layers, width, inner):
    network = build(60, 0.3)
    for side in (network.encoder, network.decoder):
        assert len(side.layers) == layers
        assert side.layers[0].fc1.weight.shape == (inner, width)
        assert side.layers[0].self_attn.num_heads == 4
        assert side.layers[0].dropout_module.p == 0.3
    table = network.encoder.embed_tokens.weight
    assert table.shape == (60, width)
    assert network.decoder.embed_tokens.weight is table
    assert network.decoder.output_projection.weight is table


def test_written_and_read(tmp_path):
    torch.manual_seed(0)
    network, path = small.tiny(40, 0.1), tmp_path / "model.safetensors"
    write_tensors(path, weights(network), {})
    for vocabulary in (None, 40):
        read = model.load_model(small.tiny, {"name": "tiny"}, path, vocabulary)
        assert not read.training
        assert all(torch.equal(read.state_dict()[name], tensor) for name, tensor in network.state_dict().items())


def test_wrong_weights_are_one_line(tmp_path):
    path = tmp_path / "model.safetensors"
    write_tensors(path, weights(small.tiny(40, 0.1)), {})
    with pytest.raises(UserError, match=r"of a vocabulary of 40, not 41 as the corpus"):
        model.load_model(small.tiny, {"name": "tiny"}, path, 41)
    with pytest.raises(UserError, match=r"these weights do not fit the model of the spec"):
        model.load_model(model.transformer_small, {"name": "transformer_small"}, path)
    write_tensors(path, {"a": torch.zeros(2)}, {})
    with pytest.raises(UserError, match=r"holds no encoder.embed_tokens.weight, so no fairseq Transformer"):
        model.load_model(small.tiny, {"name": "tiny"}, path)


def test_fairseq_finds_task_and_criterion_by_its_user_dir(tmp_path):
    folder = small.corpus(tmp_path)
    script = f"""
from argparse import Namespace
from fairseq import criterions, tasks, utils
utils.import_user_module(Namespace(user_dir={str(Path(model.__file__).parent / "user_dir")!r}))
task = tasks.setup_task(Namespace(task="lskd_pairs", data={str(folder)!r}))
task.load_dataset("valid")
criterion = criterions.build_criterion(Namespace(criterion="lskd_tokens"), task)
print(type(task).__name__, type(criterion).__name__, len(task.dataset("valid")), len(task.target_dictionary))
"""
    root = Path(model.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["PairsTask", "TokenCriterion", "13", "40"], done.stderr
