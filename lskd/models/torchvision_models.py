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
    """torchvision's `arch`, untrained, for K classes. Auxiliary classifiers (googlenet, inception_v3) are left out.

    UserError for an unknown name, one without a last linear layer, or one that cannot take images of this shape.
    """
    known = torchvision.models.list_models(module=torchvision.models)
    if arch not in known:
        near = ", ".join(get_close_matches(arch, known, 3)) or "see torchvision.models"
        raise UserError(f"model {arch!r}: torchvision has no such classifier; near: {near}")
    options: dict[str, Any] = {"weights": None, "num_classes": num_classes}
    if arch in ("googlenet", "inception_v3"):
        options |= {"aux_logits": False, "init_weights": True}
    classifier = torchvision.models.get_model(arch, **options)
    linear = [name for name, module in classifier.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UserError(f"model {arch!r}: ends in no linear layer, so it has no penultimate features; take another")
    model = Wrapped(classifier, linear[-1])
    _try(model, arch, image_shape)
    return model


def _try(model: Wrapped, arch: str, image_shape: tuple[int, int, int]) -> None:
    try:
        with torch.no_grad():
            model.eval()(torch.zeros(1, *image_shape))
    except (RuntimeError, AssertionError) as error:
        shape, why = "x".join(map(str, image_shape)), str(error).splitlines()[0]
        raise UserError(
            f"model {arch!r}: cannot take images of {shape} ({why}); take another model or image size"
        ) from None
    model.train()
