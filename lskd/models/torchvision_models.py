"""Any torchvision classifier by name, with its penultimate features exposed as those of our own networks are."""

from difflib import get_close_matches
from typing import Any

import torch
import torchvision
from torch import nn

from lskd.errors import UserError


class Wrapped(nn.Module):
    """A classifier split at its last linear layer: `features` is what that layer reads, `head` the layer itself."""

    def __init__(self, classifier: nn.Module, name: str) -> None:
        super().__init__()
        self.head = classifier.get_submodule(name)
        parent, _, last = name.rpartition(".")
        setattr(classifier.get_submodule(parent), last, nn.Identity())
        self.body = classifier

    def features(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The penultimate activations [N, H]; a single grey channel is repeated to three."""
        return self.body(images_nchw.expand(-1, 3, -1, -1))

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return self.head(self.features(images_nchw))


def torchvision_model(num_classes: int, image_shape: tuple[int, int, int], arch: str) -> Wrapped:
    """torchvision's `arch`, untrained, for K classes; UserError for an unknown name or one without a last linear layer.

    Auxiliary classifiers (googlenet, inception_v3) are left out.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if arch not in known:
        near = ", ".join(get_close_matches(arch, known, 3)) or "see torchvision.models"
        raise UserError(f"model {arch!r}: torchvision has no such classifier; near: {near}")
    options: dict[str, Any] = {"weights": None, "num_classes": num_classes}
    if arch in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": True}
    classifier = torchvision.models.get_model(arch, **options)
    name, head = list(classifier.named_modules())[-1]
    linear = [(name, module) for name, module in classifier.named_modules() if isinstance(module, nn.Linear)]
    if linear:
        name, head = linear[-1]
    if not isinstance(head, nn.Linear) or head.out_features != num_classes:
        raise UserError(f"model {arch!r}: ends in no linear layer, so it has no penultimate features; take another")
    return Wrapped(classifier, name)
