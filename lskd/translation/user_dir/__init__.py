"""What lskd adds to fairseq, as a package for its `--user-dir`: a task, a criterion, and the reading of checkpoints."""

from lskd.translation.user_dir.criterion import TokenCriterion
from lskd.translation.user_dir.task import PairsTask, PairsTaskConfig

__all__ = ["PairsTask", "PairsTaskConfig", "TokenCriterion"]
