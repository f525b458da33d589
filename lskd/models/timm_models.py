"""Any timm classifier by name: `model: timm/resnet10t`. timm is no requirement of lskd: pip install timm."""

from difflib import get_close_matches
from typing import Any

from torch import nn

from lskd.errors import UserError
from lskd.models.wrapped import Wrapped, wrap


def timm_model(num_classes: int, image_shape: tuple[int, int, int], arch: str) -> Wrapped:
    """timm's `arch`, untrained, for K classes, and where it asks for it built for images of this size.

    UserError where timm is not installed, for an unknown name, and for a model that cannot take such images.
    """
    try:
        import timm
    except ImportError:
        raise UserError(f"model timm/{arch}: timm is not installed here; pip install timm") from None
    try:
        return wrap(_classifier(timm, arch, num_classes, image_shape[1]), f"timm/{arch}", image_shape)
    except (RuntimeError, ValueError) as error:
        near = ", ".join(get_close_matches(arch, timm.list_models(), 3)) or "see timm.list_models()"
        raise UserError(f"model timm/{arch}: {' '.join(str(error).split())[:100]}; near: {near}") from None


def _classifier(timm: Any, arch: str, num_classes: int, image_size: int) -> nn.Module:
    options: dict[str, Any] = {"pretrained": False, "num_classes": num_classes}
    try:
        return timm.create_model(arch, img_size=image_size, **options)
    except TypeError:  # a network that takes images of any size
        return timm.create_model(arch, **options)
