"""A run made of a user's own fairseq checkpoint: its weights under the names of the spec's model."""

import torch

from lskd.jobs.work import Work
from lskd.models.network import be_deterministic, weights
from lskd.training.device import device_of
from lskd.training.start import read_checkpoint, write
from lskd.translation.model import new_model
from lskd.translation.train import begin_with, val_batches, validate
from lskd.translation.user_dir import PairsTask, TokenCriterion

VAL_TOKENS = 4096


def run(work: Work) -> None:
    """Write the files of a training from a checkpoint_*.pt; its history is one line, NLL and accuracy on val.

    A checkpoint is loaded with weights_only, and argparse.Namespace alone is allowed beside tensors and plain values.
    Raises UserError where the file is none, has changed since it was planned, or is of another vocabulary or model.
    """
    with device_of(work) as device:
        be_deterministic(device)
        task = PairsTask.of(work)
        torch.manual_seed(work.spec["seed"])
        network = new_model(work.functions["model"], work.spec["model"], len(task.target_dictionary))
        begin_with(network, read_checkpoint(work.place, work.spec["checkpoint"]["digest"]), str(work.place))
        batches = val_batches(task.pairs("val"), VAL_TOKENS, work.title)
        nll, accuracy = validate(task, network.to(device), TokenCriterion(task), batches)
        row = {"update": 0, "epoch": 0, "lr": 0.0, "loss": None, "val_nll": nll, "val_accuracy": accuracy}
        write(work, weights(network), row)
