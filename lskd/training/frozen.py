"""Fine-tuning of the last layers alone: FixRes (Touvron 2019, "Fixing the train-test resolution discrepancy")."""

from torch import nn

HEAD = "head"  # the last linear layer of every network here
NORMALISATIONS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)


def train_last(network: nn.Module) -> list[nn.Module]:
    """Freeze all but the last linear layer and the last normalisation before it, and give these two (section 4).

    All parameters else need no gradient. Of two normalisations the later is the one that was registered later.
    """
    before = [module for name, module in network.named_modules() if name.partition(".")[0] != HEAD]
    last = [module for module in before if isinstance(module, NORMALISATIONS)][-1:] + [network.get_submodule(HEAD)]
    network.requires_grad_(False)
    for module in last:
        module.requires_grad_(True)
    return last
