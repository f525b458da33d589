"""From a corpus' files to the files of a corpus job: cleaned, split, cut into pieces. No torch."""

import sys
from collections import Counter

import pyarrow as pa

from lskd.data.content import content_of_files
from lskd.errors import UserError
from lskd.io.tables import write_table
from lskd.jobs.work import Work
from lskd.translation import pieces
from lskd.translation.cleaning import REASONS, clean, refuse_leaks, without_leaks
from lskd.translation.pairs import Pair
from lskd.translation.splits import split
from lskd.translation.tokens import SPECIALS, SPLITS, UNK, Sentences, tokenise, write_tokens


def run(work: Work) -> None:
    """Prepare the corpus of a job's spec from the files at its place: corpus.parquet, pieces.* and tokens.safetensors.

    spec: "dataset", "source" and "target" (languages), "pieces", "longest" (words of a training sentence), "leaks"
    (what becomes of training pairs in a published val or test: "refuse", or "drop" where it is not given),
    "val_fraction" and "test_fraction" (for what was not published) and "content" ({} where nothing is to be compared).
    Raises UserError for files that are no such corpus.
    """
    spec, name = work.spec, f"{work.spec['dataset']} {work.spec['source']}-{work.spec['target']}"
    languages = (spec["source"], spec["target"])
    pairs, removed = clean(work.functions["load"](work.place, *languages), *languages, spec["longest"])
    fractions = {part: spec.get(f"{part}_fraction", 0.0) for part in ("val", "test")}
    splits, leaked = separate(pairs, fractions, spec.get("leaks", "drop") == "refuse", name)
    files = work.functions["files"](work.place, *languages)
    if spec["content"] and content_of_files(work.place, files, None, write=False) != spec["content"]:
        raise UserError(f"{work.place}: the files changed since this job was planned; run again")
    pieces.learn([text for pair in splits["train"] for text in (pair.source, pair.target)], spec["pieces"], work.folder)
    unknown = store(work, splits, removed + leaked)
    line = _counts(name, splits, removed + leaked, spec["pieces"], unknown)
    work.notes["corpus"] = line
    print(line, file=sys.stderr, flush=True)


def separate(
    pairs: list[Pair], fractions: dict[str, float], refuse: bool, place: str
) -> tuple[dict[str, list[Pair]], Counter[str]]:
    """The splits, of which none shares a sentence with another (a published val may with test), and what was removed.

    `refuse`: raise UserError where train shares one with a published val or test, rather than remove it.
    """
    published = {pair.split for pair in pairs} & {"val", "test"}
    splits = split(pairs, fractions, place)
    if refuse:
        refuse_leaks(splits["train"], [pair for name in published for pair in splits[name]], place)
    kept, removed = without_leaks(splits, published)
    for name in ("train", "val"):
        if not kept[name]:
            raise UserError(
                f"{place}: each of {len(splits[name]):,} pairs of {name} stands in another split too; give more"
            )
    return kept, removed


def store(work: Work, splits: dict[str, list[Pair]], removed: Counter[str]) -> int:
    """Write the splits as a table and as tokens; returns how many tokens of val and test are unknown."""
    every = [(name, index, pair) for name in SPLITS for index, pair in enumerate(splits[name])]
    columns = {
        "split": pa.array([name for name, _, _ in every], pa.string()),
        "sentence": pa.array([index for _, index, _ in every], pa.int32()),
        "document": pa.array([pair.document for _, _, pair in every], pa.string()),
        "source": pa.array([pair.source for _, _, pair in every], pa.string()),
        "target": pa.array([pair.target for _, _, pair in every], pa.string()),
    }
    write_table(work.folder / "corpus.parquet", pa.table(columns), work.origin | {"removed": dict(removed)})
    model = work.folder / "pieces.model"
    tokens = {
        name: Sentences(
            tokenise([pair.source for pair in splits[name]], model),
            tokenise([pair.target for pair in splits[name]], model),
        )
        for name in SPLITS
    }
    write_tokens(work.folder / "tokens.safetensors", tokens, work.origin)
    held = (getattr(tokens[name], side).ids for name in ("val", "test") for side in ("source", "target"))
    return sum(int((ids == UNK).sum()) for ids in held)


def _counts(name: str, splits: dict[str, list[Pair]], removed: Counter[str], size: int, unknown: int) -> str:
    sizes = ", ".join(f"{len(splits[split]):,} {split}" for split in SPLITS)
    reasons = ", ".join(f"{removed[reason]:,} {reason}" for reason in REASONS if removed[reason])
    tokens = f"{size + SPECIALS:,} tokens, of which {unknown:,} in val and test are unknown"
    return f"{name}: {sizes} pairs; removed {reasons or 'none'}; {tokens}"
