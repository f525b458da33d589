"""The task: sentences of a corpus job, in its joint vocabulary."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import fairseq
from fairseq.data import Dictionary
from fairseq.dataclass import FairseqDataclass
from fairseq.tasks import FairseqTask, register_task

from lskd.jobs.work import Work
from lskd.translation.batches import Pairs
from lskd.translation.tokens import read_pieces, read_tokens


@dataclass
class PairsTaskConfig(FairseqDataclass):
    """Where the corpus lies."""

    data: str = field(default="", metadata={"help": "the folder of a corpus job"})


@register_task("lskd_pairs", dataclass=PairsTaskConfig)
class PairsTask(FairseqTask):
    """Both sides share one dictionary, whose entries are the corpus' pieces."""

    def __init__(self, cfg: PairsTaskConfig, dictionary: Dictionary) -> None:
        super().__init__(cfg)
        self.dictionary = dictionary

    @property
    def source_dictionary(self) -> Dictionary:
        """The joint one."""
        return self.dictionary

    @property
    def target_dictionary(self) -> Dictionary:
        """The joint one."""
        return self.dictionary

    @classmethod
    def setup_task(cls, cfg: PairsTaskConfig, **kwargs: Any) -> "PairsTask":
        """The task of a folder."""
        dictionary = Dictionary()
        for piece in read_pieces(Path(cfg.data) / "pieces.txt"):
            dictionary.add_symbol(piece)
        return cls(cfg, dictionary)

    @classmethod
    def of(cls, work: Work) -> "PairsTask":
        """The task of a job's corpus, its files compared with their seals; notes fairseq in the job's environment."""
        for name in ("tokens.safetensors", "pieces.txt"):
            work.read("data", name)
        work.environment["fairseq"] = fairseq.__version__
        return cls.setup_task(PairsTaskConfig(data=str(work.inputs["data"])))

    def load_dataset(self, split: str, combine: bool = False, **kwargs: Any) -> None:
        """Load the sentences of "train", "val" or "test"; fairseq's own word for val is "valid"."""
        name = "val" if split == "valid" else split
        self.datasets[split] = Pairs(read_tokens(Path(self.cfg.data) / "tokens.safetensors", name), self.dictionary)

    def pairs(self, split: str) -> Pairs:
        """A split's data set, loaded before or now."""
        if split not in self.datasets:
            self.load_dataset(split)
        return self.datasets[split]
