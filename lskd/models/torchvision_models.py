"""Any torchvision classifier by name."""

from difflib import get_close_matches
from typing import Any

import torchvision

from lskd.errors import UserError
from lskd.models.wrapped import Wrapped, wrap


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
    return wrap(classifier, arch, image_shape)
