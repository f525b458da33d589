"""Batches of sentences: which sentences stand together, in which order, and what a network says of their tokens.

B sentences of a batch, N of their target tokens, EOS among them and padding not, sentence by sentence; V the
vocabulary. A sentence's length is that of its longer side with EOS.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from fairseq import utils
from fairseq.data import Dictionary, LanguagePairDataset, data_utils
from numpy.typing import NDArray
from torch.nn.attention import SDPBackend, sdpa_kernel

from lskd.errors import UserError
from lskd.training.schedules import generator
from lskd.translation.tokens import EOS, PAD, Ragged, Sentences

Ids = NDArray[np.int64]
Sample = dict[str, Any]
"""A batch as fairseq has it, and of its target tokens: `places` int64 [N], where they stand in the flattened `target`;
`rows` [N] (NumPy's, which fairseq leaves on the CPU), their numbers among all target tokens of the split."""


class Pairs(LanguagePairDataset):
    """The sentences of a split as fairseq reads them; a batch knows where its tokens are, so that no device waits."""

    def __init__(self, sentences: Sentences, dictionary: Dictionary) -> None:
        sides = (_Side(sentences.source), _Side(sentences.target))
        source, target = sides
        self.sentences = sentences
        super().__init__(source, source.sizes, dictionary, target, target.sizes, dictionary, shuffle=False)
        self.tgt_ends = self.tgt_sizes.cumsum()

    def collater(self, samples: list[Sample], pad_to_length: dict[str, int] | None = None) -> Sample:
        """A batch of items of this data set; the longest source stands first."""
        sample: Sample = super().collater(samples, pad_to_length)
        sample["places"] = sample["target"].view(-1).ne(PAD).nonzero().squeeze(1)
        sample["rows"] = self.rows(sample["id"].numpy())
        return sample

    def rows(self, ids_b: Ids) -> Ids:
        """The numbers [N] of these sentences' target tokens among all of the split, EOS counted."""
        sizes_b = self.tgt_sizes[ids_b]
        starts_b = self.tgt_ends[ids_b] - sizes_b
        first_b = sizes_b.cumsum() - sizes_b
        return np.repeat(starts_b - first_b, sizes_b) + np.arange(sizes_b.sum())

    def batch(self, ids_b: Ids) -> Sample:
        """The batch of some sentences."""
        return self.collater([self[number] for number in ids_b.tolist()])


class _Side(torch.utils.data.Dataset[torch.Tensor]):
    """One side's sentences, EOS appended."""

    def __init__(self, rows: Ragged) -> None:
        self.rows, self.sizes = rows, rows.lengths_n + 1

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, number: int) -> torch.Tensor:
        return torch.from_numpy(np.append(self.rows[number], EOS).astype(np.int64))


def composed(sentences: Sentences, tokens: int, title: str) -> list[Ids]:
    """Which sentences stand together: neighbours in length, as many as fit in `tokens` of source and of target, padding
    counted; every sentence once.

    A function of the corpus and `tokens` alone: so a teacher's logits are forwarded in the very batches of its
    students, and a stored logit has the bits of an online one. Raises UserError where a sentence is longer.
    """
    source_n, target_n = sentences.source.lengths_n + 1, sentences.target.lengths_n + 1
    sizes_n = np.maximum(source_n, target_n)
    if not len(sizes_n):
        raise UserError(f"{title}: the corpus has no sentence to train on; take one with more")
    if sizes_n.max() > tokens:
        raise UserError(
            f"{title}: recipe.tokens is {tokens}, but sentence {sizes_n.argmax()} has {sizes_n.max()} tokens with its "
            "end mark; raise tokens, or lower the corpus' longest"
        )
    order_n = np.lexsort((target_n, source_n)).astype(np.int64)
    # fairseq's default of 8 for the last would drop the last n mod 8 sentences
    batches = data_utils.batch_by_size(order_n, None, sizes_n[order_n], tokens, required_batch_size_multiple=1)
    return [np.asarray(ids_b, np.int64) for ids_b in batches]


def order(seed: int, epoch: int, batches: int) -> list[int]:
    """In which order an epoch (from 0) takes its batches: a function of the arguments alone."""
    return torch.randperm(batches, generator=generator(f"shuffle {epoch}", seed)).tolist()


def samples(pairs: Pairs, batches: list[Ids], device: torch.device) -> Iterator[Sample]:
    """The batches, one after the other, on a device."""
    return (on_device(pairs.batch(ids_b), device) for ids_b in batches)


def on_device(sample: Sample, device: torch.device) -> Sample:
    """A batch with its tensors on a device."""
    return utils.apply_to_sample(lambda tensor: tensor.to(device, non_blocking=True), sample)


def next_token_logits(network: Any, sample: Sample) -> tuple[torch.Tensor, torch.Tensor]:
    """What a network says of each target token given those before it: logits [N, V], and the tokens int64 [N].

    The last layer sees the N tokens alone, not the padding.
    """
    # sentences are short: on a CPU the plain products of attention train 1.3 times as fast as torch's fused kernel
    with sdpa_kernel(SDPBackend.MATH) if sample["target"].device.type == "cpu" else nullcontext():
        features, _ = network(**sample["net_input"], features_only=True)
    places_n = sample["places"]
    features_nd = features.reshape(-1, features.shape[-1]).index_select(0, places_n)
    return network.decoder.output_layer(features_nd), sample["target"].reshape(-1).index_select(0, places_n)
