"""A library's classifier, with its penultimate features exposed as those of our own networks are."""

import torch
from torch import nn

from lskd.errors import UserError


class Wrapped(nn.Module):
    """A classifier split at its last linear layer: `features` is what that layer reads, `head` the layer itself."""

    def __init__(self, classifier: nn.Module, head: str) -> None:
        super().__init__()
        self.head_name = head
        self.head = classifier.get_submodule(head)
        parent, _, last = head.rpartition(".")
        setattr(classifier.get_submodule(parent), last, nn.Identity())
        self.body = classifier

    def own_name(self, name: str) -> str:
        """What a weight of the library's classifier is called here."""
        rest = name.removeprefix(f"{self.head_name}.")
        return f"head.{rest}" if rest != name else f"body.{name}"

    def features(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """The penultimate activations [N, H]; a single grey channel is repeated to three."""
        return self.body(images_nchw.expand(-1, 3, -1, -1))

    def forward(self, images_nchw: torch.Tensor) -> torch.Tensor:
        """Logits [N, K]."""
        return self.head(self.features(images_nchw))


def wrap(classifier: nn.Module, arch: str, image_shape: tuple[int, int, int]) -> Wrapped:
    """A classifier that takes images of shape (C, H, W).

    UserError for one without a last linear layer, and one that cannot take images of this shape.
    """
    linear = [name for name, module in classifier.named_modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise UserError(f"model {arch!r}: ends in no linear layer, so it has no penultimate features; take another")
    model = Wrapped(classifier, linear[-1])
    _try(model, arch, image_shape)
    return model


def _try(model: Wrapped, arch: str, image_shape: tuple[int, int, int]) -> None:
    try:
        with torch.no_grad():
            features_nh = model.eval().features(torch.zeros(1, *image_shape))
            model.head(features_nh)
    except (RuntimeError, AssertionError) as error:
        shape, why = "x".join(map(str, image_shape)), str(error).splitlines()[0]
        raise UserError(
            f"model {arch!r}: cannot take images of {shape} ({why}); take another model or image size"
        ) from None
    if features_nh.dim() != 2:
        raise UserError(f"model {arch!r}: its last linear layer reads no vector an image; take another model")
    model.train()
