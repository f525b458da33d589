"""Transformers of fairseq's, by the size of a joint vocabulary; and what a trained one is read from.

V entries of the vocabulary: fairseq's <s>, <pad>, </s> and <unk>, then the pieces.
"""

from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
from fairseq.data import Dictionary
from fairseq.models.transformer import TransformerModel
from fairseq.models.transformer.transformer_legacy import base_architecture
from fairseq.models.transformer.transformer_legacy import transformer_iwslt_de_en as iwslt_de_en

from lskd.errors import UserError
from lskd.io.tensors import load_tensors
from lskd.models.network import set_weights

EMBEDDING = "encoder.embed_tokens.weight"
SPECIALS = 4  # <s> <pad> </s> <unk>, which fairseq's dictionary begins with

Build = Callable[..., torch.nn.Module]
"""From the size of the vocabulary V and a model's options (dropout) to a network."""


def transformer_small(vocabulary: int, dropout: float) -> torch.nn.Module:
    """2+2 layers, d 128, feed-forward 256, 4 heads: learns on a CPU."""
    return _transformer(base_architecture, vocabulary, dropout, layers=2, embed_dim=128, ffn_embed_dim=256)


def transformer_papers(vocabulary: int, dropout: float) -> torch.nn.Module:
    """2+2 layers, d 256, 4 heads, as the papers' code has it; feed-forward 1024, which is iwslt_de_en's."""
    return _transformer(iwslt_de_en, vocabulary, dropout, layers=2, embed_dim=256)


def transformer_iwslt_de_en(vocabulary: int, dropout: float) -> torch.nn.Module:
    """fairseq's own: 6+6 layers, d 512, feed-forward 1024, 4 heads."""
    return _transformer(iwslt_de_en, vocabulary, dropout)


def transformer_wmt_en_de(vocabulary: int, dropout: float) -> torch.nn.Module:
    """The base Transformer (Vaswani 2017): 6+6 layers, d 512, feed-forward 2048, 8 heads."""
    return _transformer(base_architecture, vocabulary, dropout, attention_heads=8)


def _transformer(
    architecture: Callable[[Namespace], None], vocabulary: int, dropout: float, **sizes: int
) -> torch.nn.Module:
    """An architecture of fairseq's with `sizes` of encoder and decoder, one table of embeddings for all three uses."""
    sizes = {"attention_heads": 4} | sizes
    both = {f"{side}_{name}": size for side in ("encoder", "decoder") for name, size in sizes.items()}
    arguments = Namespace(dropout=dropout, share_all_embeddings=True, **both)
    architecture(arguments)
    words = dictionary(vocabulary)
    return TransformerModel.build_model(arguments, SimpleNamespace(source_dictionary=words, target_dictionary=words))


def dictionary(vocabulary: int) -> Dictionary:
    """A dictionary of `vocabulary` entries; only their numbers mean anything."""
    words = Dictionary()
    for number in range(SPECIALS, vocabulary):
        words.add_symbol(str(number))
    return words


def new_model(build: Build, model: dict[str, Any], vocabulary: int) -> torch.nn.Module:
    """The network of a spec's `model` on the CPU, initialised by torch's own generator."""
    return build(vocabulary, **{"dropout": 0.0} | {key: value for key, value in model.items() if key != "name"})


def load_model(build: Build, model: dict[str, Any], path: Path, vocabulary: int | None = None) -> torch.nn.Module:
    """A trained network from its weights file, on the CPU, in evaluation mode.

    Raises UserError where the file does not fit, or is not of a vocabulary of that size, where one is given.
    """
    tensors = load_tensors(path)
    of_file = vocabulary_of(tensors, path)
    if vocabulary not in (None, of_file):
        raise UserError(f"{path}: of a vocabulary of {of_file}, not {vocabulary} as the corpus; name a network of it")
    return set_weights(new_model(build, model, of_file), tensors, path)


def vocabulary_of(tensors: dict[str, torch.Tensor], path: Path) -> int:
    """The size of the vocabulary of weights read from `path`; UserError where they are of no such network."""
    if EMBEDDING not in tensors:
        raise UserError(f"{path}: holds no {EMBEDDING}, so no fairseq Transformer; name the weights of one")
    return len(tensors[EMBEDDING])
