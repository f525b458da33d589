"""What a trained network translates: beam search, and next-token predictions, at temperatures of the softmax.

Legend of suffixes: b sentences of a batch; n sentences, or target tokens of a batch but no padding; v tokens of the
vocabulary.
"""

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import torch
from fairseq.data import Dictionary
from fairseq.sequence_generator import SequenceGenerator

from lskd.errors import UserError
from lskd.io.tables import read_table, write_table
from lskd.io.tensors import load_tensors
from lskd.jobs.progress import Report, Words, report
from lskd.jobs.work import Work
from lskd.models.network import be_deterministic, by_epoch, set_weights
from lskd.training.device import device_of
from lskd.translation.batches import Pairs, next_token_logits, on_device
from lskd.translation.model import dictionary, load_model, new_model
from lskd.translation.tokens import Array, Sentences, detokenise, read_tokens, vocabulary

FINAL = -1  # the `update` of a trained network
SNAPSHOTS = "snapshots.safetensors"
LONGER, MORE = 1.2, 10  # a translation has up to LONGER x its longest source in the batch + MORE tokens (fairseq)
SENTENCES, SOURCE_TOKENS = 128, 4096  # that are decoded together, at most
LOGITS = 1 << 23  # of next-token predictions that are in memory together, unless one sentence has more: 32 MB
LOWEST, HIGHEST = 0.01, 100.0  # temperatures that are fitted, as in metrics/calibration.py
CLOSE = 1e-4  # relative step below which Newton's next one, quadratically smaller, is not made

WORDS = Words("sentence", "sentences", "val_nll", "val NLL", ".4g")  # of its progress

Predicted = tuple[Array, Array, Array, torch.Tensor, torch.Tensor]
"""Of a batch: sentence, position and token of each target token [N]; the tokens on the device [N]; logits [N, V]."""


class Network(NamedTuple):
    """A trained network in evaluation mode, its vocabulary, and where it is."""

    model: torch.nn.Module
    words: Dictionary
    device: torch.device


def run(work: Work) -> None:
    """Translate the spec's `splits`, and predict each of their target tokens, at each of its `temperatures`.

    Writes translations.parquet (split, update, temperature, sentence, hypothesis, reference) and tokens.parquet (split,
    update, temperature, is_fitted, sentence, position, token, nll in nats, confidence, is_correct): a row a sentence,
    and a row a target token, the end of the sentence too, given the right prefix. No sentence is left out. `update` is
    -1 for a final network; of snapshots.safetensors each is translated. With `fit`, tokens also come at the temperature
    that minimises their NLL on val, if one does (`is_fitted`). Beam search is fairseq's, with `beam` and
    `length_penalty`; a translation may have 1.2 x as many tokens as its batch's longest source, and 10 more.
    Raises UserError where a sentence is too long for the network, or the weights are of another vocabulary.
    """
    with device_of(work) as device:
        translate(work, device)


def translate(work: Work, device: torch.device) -> None:
    """The same on a device."""
    be_deterministic(device)
    spec = work.spec
    size = vocabulary(work.read("data", "pieces.txt"))
    tokens_path = work.read("data", "tokens.safetensors")
    sentences = {split: read_tokens(tokens_path, split) for split in dict.fromkeys([*spec["splits"], "val"])}
    references = _references(work)
    networks = list(_networks(work, size, device))
    translations: list[pa.Table] = []
    predictions: list[pa.Table] = []
    total = len(networks) * len(spec["temperatures"]) * sum(len(sentences[split]) for split in spec["splits"])
    with report(work.title, work.address, total, total, 0, 1, WORDS) as tell:
        for update, network in networks:
            _check_lengths(work, network, sentences)
            fitted = math.nan
            if spec["fit"]:
                fitted = fit_temperature(partial(next_tokens, network, sentences["val"]))
            at = [(float(t), False) for t in spec["temperatures"]] + [(fitted, True)] * (not math.isnan(fitted))
            for split in spec["splits"]:
                about = {"split": split, "update": update}
                for temperature in spec["temperatures"]:
                    done = sum(table.num_rows for table in translations)
                    texts = _translated(work, network, sentences[split], float(temperature), tell, done)
                    translations.append(_texts(about | {"temperature": float(temperature)}, texts, references[split]))
                predictions += _predicted(about, at, next_tokens(network, sentences[split]))
    write_table(work.folder / "translations.parquet", pa.concat_tables(translations), work.origin)
    write_table(work.folder / "tokens.parquet", pa.concat_tables(predictions), work.origin)


def _networks(work: Work, size: int, device: torch.device) -> Iterator[tuple[int, Network]]:
    """The network of each snapshot, ascending by update, or the one of the weights."""
    words = dictionary(size)
    build, model, weights = work.functions["model"], work.spec["model"], work.spec["weights"]
    path = work.read("weights", weights)
    if weights != SNAPSHOTS:
        yield FINAL, Network(load_model(build, model, path, size).to(device), words, device)
        return
    for update, tensors in by_epoch(load_tensors(path), path).items():
        yield update, Network(set_weights(new_model(build, model, size), tensors, path).to(device), words, device)


def _references(work: Work) -> dict[str, list[str]]:
    """The target texts of each split, by sentence."""
    table = read_table(work.read("data", "corpus.parquet")).select(["split", "sentence", "target"])
    texts: dict[str, list[str]] = {}
    for row in table.sort_by([("split", "ascending"), ("sentence", "ascending")]).to_pylist():
        texts.setdefault(row["split"], []).append(row["target"])
    return texts


def _check_lengths(work: Work, network: Network, sentences: dict[str, Sentences]) -> None:
    """UserError where a sentence and its end have more tokens than the network has positions."""
    for positions, side in zip(network.model.max_positions(), ("source", "target"), strict=True):  # type: ignore[operator]
        for split, rows in sentences.items():
            longest = int(getattr(rows, side).lengths_n.max(initial=0)) + 1
            if longest > positions:
                raise UserError(
                    f"{work.title}: a {side} sentence of {split} has {longest} tokens, the network takes {positions}; "
                    "shorten it, or learn more pieces"
                )


def _translated(
    work: Work, network: Network, sentences: Sentences, temperature: float, tell: Report, done: int
) -> list[str]:
    """The translation of each sentence, in their order; `done` sentences were translated before."""
    pieces = work.read("data", "pieces.model")
    texts = [""] * len(sentences)
    for batch, hypotheses in decoded(network, sentences, temperature, work.spec["beam"], work.spec["length_penalty"]):
        for sentence, ids in zip(batch, hypotheses, strict=True):
            texts[sentence] = detokenise(ids, pieces)
        done += len(batch)
        tell.step(done)
    return texts


@torch.no_grad()
def decoded(
    network: Network, sentences: Sentences, temperature: float, beam: int, length_penalty: float
) -> Iterator[tuple[Array, list[list[int]]]]:
    """Batches of sentences, each with its best hypothesis as token ids, by beam search on softmax(z / temperature)."""
    search = SequenceGenerator(
        [network.model],
        network.words,
        beam_size=beam,
        max_len_a=LONGER,
        max_len_b=MORE,
        len_penalty=length_penalty,
        temperature=temperature,
    )
    pairs = Pairs(sentences, network.words)
    for ids_b in by_length(pairs.src_sizes, SENTENCES, SOURCE_TOKENS):
        sample = on_device(pairs.batch(ids_b), network.device)
        beams = search.generate([network.model], sample)
        yield sample["id"].cpu().numpy(), [hypotheses[0]["tokens"].tolist() for hypotheses in beams]


@torch.no_grad()
def next_tokens(network: Network, sentences: Sentences) -> Iterator[Predicted]:
    """Batches of predictions of every target token, the end of the sentence too, given source and right prefix."""
    pairs = Pairs(sentences, network.words)
    sizes_n = np.maximum(pairs.src_sizes, pairs.tgt_sizes)
    for ids_b in by_length(sizes_n, len(sentences), max(1, LOGITS // len(network.words))):
        sample = on_device(pairs.batch(ids_b), network.device)
        logits_nv, tokens_n = next_token_logits(network.model, sample)
        sentence_b = sample["id"].cpu().numpy()
        sizes_b = pairs.tgt_sizes[sentence_b]
        position_n = np.arange(sizes_b.sum()) - np.repeat(sizes_b.cumsum() - sizes_b, sizes_b)
        yield np.repeat(sentence_b, sizes_b), position_n, tokens_n.cpu().numpy(), tokens_n, logits_nv


def by_length(lengths_n: Array, most: int, tokens: int) -> Iterator[Array]:
    """All sentences in batches of like lengths [N], the longest first: up to `most`, and up to `tokens` with padding.

    A sentence that has more tokens by itself is a batch.
    """
    order_n = np.argsort(-lengths_n, kind="stable")
    start = 0
    while start < len(order_n):
        end = start + min(most, max(1, int(tokens // lengths_n[order_n[start]])))
        yield order_n[start:end]
        start = end


def fit_temperature(predictions: Callable[[], Iterable[Predicted]]) -> float:
    """The T in 0.01..100 that minimises the NLL of softmax(z / T) (Guo 2017); NaN where no prediction is wrong.

    `predictions` makes the batches anew each time. Newton's method on b = 1 / T, in which the NLL is convex: with p =
    softmax(b z), its slope is the mean of E_p z - z_y and its curvature that of Var_p z; between bounds that close in.
    """
    low, high, beta = 1 / HIGHEST, 1 / LOWEST, 1.0
    while True:
        slope, curvature, wrong = _derivatives(predictions(), beta)
        if not wrong:
            return math.nan
        low, high = (low, beta) if slope > 0 else (beta, high)
        better = beta - slope / max(curvature, sys.float_info.min)
        if not low < better < high:
            better = math.sqrt(low * high)
        if abs(better - beta) <= CLOSE * beta:
            return 1 / better
        beta = better


def _derivatives(predictions: Iterable[Predicted], beta: float) -> tuple[float, float, int]:
    """The sums over tokens of slope and curvature of the NLL in 1 / T, and how many tokens are not the likeliest."""
    slope, curvature, wrong = 0.0, 0.0, 0
    for *_, tokens_n, logits_nv in predictions:
        own_n = logits_nv.gather(1, tokens_n[:, None])[:, 0]
        p_nv = (logits_nv * beta).softmax(1)
        mean_n = (p_nv * logits_nv).sum(1)
        slope += (mean_n - own_n).double().sum().item()
        curvature += (p_nv * (logits_nv - mean_n[:, None]) ** 2).sum(1).double().sum().item()
        wrong += int((own_n < logits_nv.amax(1)).sum())
    return slope, curvature, wrong


def _predicted(about: dict[str, Any], at: list[tuple[float, bool]], predictions: Iterable[Predicted]) -> list[pa.Table]:
    """A table of a split's tokens for each (temperature, whether it is fitted), in the order of the sentences."""
    places: list[tuple[Array, Array, Array]] = []
    values: list[list[tuple[Array, Array]]] = []
    correct: list[Array] = []
    for sentence_n, position_n, token_n, tokens_n, logits_nv in predictions:
        places.append((sentence_n, position_n, token_n))
        values.append([_softened(logits_nv, tokens_n, temperature) for temperature, _ in at])
        correct.append((logits_nv.argmax(1) == tokens_n).cpu().numpy())
    sentence_n, position_n, token_n = (np.concatenate(column) for column in zip(*places, strict=True))
    order_n = np.lexsort((position_n, sentence_n))
    shared = {"sentence": sentence_n, "position": position_n, "token": token_n}
    columns = {name: pa.array(column[order_n], pa.int32()) for name, column in shared.items()}
    is_correct = pa.array(np.concatenate(correct)[order_n])
    tables = []
    for (temperature, is_fitted), batches in zip(at, zip(*values, strict=True), strict=True):
        nll_n, confidence_n = (np.concatenate(column)[order_n] for column in zip(*batches, strict=True))
        own = _about(about | {"temperature": temperature}, len(order_n))
        own |= {"is_fitted": pa.array(np.full(len(order_n), is_fitted))} | columns
        own |= {"nll": pa.array(nll_n, pa.float32()), "confidence": pa.array(confidence_n, pa.float32())}
        tables.append(pa.table(own | {"is_correct": is_correct}))
    return tables


def _softened(logits_nv: torch.Tensor, tokens_n: torch.Tensor, temperature: float) -> tuple[Array, Array]:
    """The NLL in nats of the tokens [N], and the largest probability [N], under softmax(z / temperature)."""
    log_p_nv = (logits_nv / temperature).log_softmax(1)
    nll_n = -log_p_nv.gather(1, tokens_n[:, None])[:, 0]
    return nll_n.cpu().numpy(), log_p_nv.amax(1).exp().cpu().numpy()


def _texts(about: dict[str, Any], hypotheses: list[str], references: list[str]) -> pa.Table:
    columns = _about(about, len(hypotheses))
    columns["sentence"] = pa.array(range(len(hypotheses)), pa.int32())
    return pa.table(columns | {"hypothesis": pa.array(hypotheses), "reference": pa.array(references)})


def _about(about: dict[str, Any], rows: int) -> dict[str, pa.Array]:
    """The columns split, update and temperature, the same in each row."""
    kinds = {"split": pa.string(), "update": pa.int32(), "temperature": pa.float64()}
    return {name: pa.repeat(pa.scalar(about[name], kind), rows) for name, kind in kinds.items()}
