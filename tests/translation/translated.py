"""A tiny corpus, a Transformer that begins to learn it, and the job that translates."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import sentencepiece
import torch
import torch.nn.functional as F
from fairseq.data.language_pair_dataset import collate

from lskd.io.seal import seal
from lskd.io.tables import write_table
from lskd.io.tensors import write_tensors
from lskd.jobs.work import Work
from lskd.study.runtime import Runtime
from lskd.translation import translate
from lskd.translation.model import new_model, transformer_small
from lskd.translation.tokens import EOS, PAD, Sentences, read_tokens, tokenise, vocabulary, write_tokens

WORDS = {"the": "das", "red": "rote", "house": "Haus", "tree": "Baum", "stands": "steht", "here": "hier", "old": "alte"}
COUNTS = {"train": 40, "val": 11, "test": 21}  # none a multiple of 8
MODEL = {"name": "transformer_small", "dropout": 0.1}
UPDATES, SNAPSHOTS = 60, (5, 25)
SPEC = {
    "model": MODEL,
    "weights": "model.safetensors",
    "splits": ["val", "test"],
    "temperatures": [1.0, 1.5],
    "beam": 2,
    "length_penalty": 1.0,
    "fit": True,
}


def pairs() -> dict[str, list[tuple[str, str]]]:
    """Sentences of 1 to 9 words, and the same word by word."""
    draw = np.random.default_rng(3)
    drawn = {}
    for split, count in COUNTS.items():
        words = [draw.choice(list(WORDS), draw.integers(1, 10)) for _ in range(count)]
        drawn[split] = [(" ".join(row), " ".join(WORDS[word] for word in row)) for row in words]
    return drawn


def corpus(root: Path, pieces: int = 40) -> Path:
    """The sealed folder of a corpus job."""
    folder = root / "corpus-0000000001"
    folder.mkdir(parents=True)
    splits = pairs()
    texts = iter([text for pair in splits["train"] for text in pair])
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=texts,
        model_prefix=str(folder / "pieces"),
        vocab_size=pieces + 1,
        model_type="bpe",
        bos_id=-1,
        eos_id=-1,
        minloglevel=2,
        num_threads=1,
    )
    (folder / "pieces.vocab").unlink()
    model = sentencepiece.SentencePieceProcessor(model_file=str(folder / "pieces.model"))
    (folder / "pieces.txt").write_text("".join(f"{model.id_to_piece(i)}\n" for i in range(1, model.vocab_size())))
    sides = {
        split: Sentences(*(tokenise(texts, folder / "pieces.model") for texts in zip(*rows, strict=True)))
        for split, rows in splits.items()
    }
    write_tokens(folder / "tokens.safetensors", sides, {})
    rows = [
        {"split": split, "sentence": i, "document": "d", "source": source, "target": target}
        for split, listed in splits.items()
        for i, (source, target) in enumerate(listed)
    ]
    write_table(folder / "corpus.parquet", pa.Table.from_pylist(rows[::-1]), {})  # read by sentence, whatever the order
    return sealed(folder)


@cache
def weights(data: Path, updates: int) -> dict[str, torch.Tensor]:
    """The weights of a network after so many plain updates on all of train: sure of something, and often wrong."""
    torch.manual_seed(0)
    model = new_model(transformer_small, MODEL | {"dropout": 0.0}, vocabulary(data / "pieces.txt"))
    sentences = read_tokens(data / "tokens.safetensors", "train")
    net_input, target_bt = plain_batch(sentences, range(len(sentences)))
    optimizer = torch.optim.Adam(model.parameters(), 2e-3)
    for _ in range(updates):
        loss = F.cross_entropy(model(**net_input)[0].flatten(0, 1), target_bt.flatten(), ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def plain_batch(sentences: Sentences, ids: Sequence[int]) -> tuple[dict[str, torch.Tensor], torch.Tensor]:
    """What fairseq's own collater makes of sentences: the network's inputs, in the order of `ids`, and its targets."""
    samples = [
        {
            "id": place,
            "source": torch.tensor([*sentences.source[i], EOS]),
            "target": torch.tensor([*sentences.target[i], EOS]),
        }
        for place, i in enumerate(ids)
    ]
    batch = collate(
        [{name: one if name == "id" else one.long() for name, one in each.items()} for each in samples], PAD, EOS
    )
    order = batch["id"].argsort()
    return {name: tensor[order] for name, tensor in batch["net_input"].items()}, batch["target"][order]


def network(data: Path, updates: int = UPDATES) -> torch.nn.Module:
    """The network of such weights, in evaluation mode."""
    model = new_model(transformer_small, MODEL, vocabulary(data / "pieces.txt"))
    model.load_state_dict(weights(data, updates))
    return model.eval().requires_grad_(False)


def trained(root: Path, data: Path) -> Path:
    """The sealed folder of a training: a network's weights, and two snapshots."""
    folder = root / "train-0000000002"
    folder.mkdir(parents=True)
    write_tensors(folder / "model.safetensors", weights(data, UPDATES), {})
    snapshots = {f"{u}/{name}": tensor for u in SNAPSHOTS[::-1] for name, tensor in weights(data, u).items()}
    write_tensors(folder / "snapshots.safetensors", snapshots, {})
    return sealed(folder)


def work(root: Path, data: Path, training: Path, **spec: object) -> Work:
    """The job that translates."""
    folder = root / "translate-0000000003"
    folder.mkdir(parents=True)
    functions = {"run": translate.run, "model": transformer_small}
    inputs = {"data": data, "weights": training}
    return Work("made/run", "0000000003", SPEC | spec, folder, inputs, functions, Runtime(device="cpu"))


def run(work: Work) -> Path:
    """Run it, and seal its folder."""
    work.functions["run"](work)
    return sealed(work.folder)


def sealed(folder: Path) -> Path:
    """A job's folder, sealed as it is."""
    seal(folder, sorted(path.name for path in folder.iterdir()), {"address": folder.name[-10:]})
    return folder
