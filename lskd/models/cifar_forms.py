"""torchvision's networks with the stem for small images that Yuan 2020's public code gives them.

A stem is what comes before the first stage; for large images it divides the side by four, here it keeps it. Initial
weights are torchvision's, where that code has torch's.
"""

from torch import nn
from torchvision.models import DenseNet, densenet121, resnet18, resnet50

from lskd.models.wrapped import Wrapped, wrap


def _stem(out: int) -> nn.Conv2d:
    stem = nn.Conv2d(3, out, 3, padding=1, bias=False)
    nn.init.kaiming_normal_(stem.weight, mode="fan_out", nonlinearity="relu")
    return stem


def cifar_resnet18(num_classes: int, image_shape: tuple[int, int, int]) -> Wrapped:
    """ResNet-18 for small images of shape (C, H, W): one 3x3 convolution for a stem, no pooling."""
    classifier = resnet18(num_classes=num_classes)
    classifier.conv1, classifier.maxpool = _stem(64), nn.Identity()
    return wrap(classifier, "cifar_resnet18", image_shape)


def cifar_resnet50(num_classes: int, image_shape: tuple[int, int, int]) -> Wrapped:
    """ResNet-50 for small images of shape (C, H, W): one 3x3 convolution for a stem, no pooling."""
    classifier = resnet50(num_classes=num_classes)
    classifier.conv1, classifier.maxpool = _stem(64), nn.Identity()
    return wrap(classifier, "cifar_resnet50", image_shape)


def cifar_densenet121(num_classes: int, image_shape: tuple[int, int, int]) -> Wrapped:
    """DenseNet-121 for small images of shape (C, H, W): a bare 3x3 convolution for a stem, transitions without ReLU."""
    classifier: DenseNet = densenet121(num_classes=num_classes)
    classifier.features.conv0 = _stem(64)
    for name in ("norm0", "relu0", "pool0"):
        setattr(classifier.features, name, nn.Identity())
    for place in (1, 2, 3):
        classifier.features.get_submodule(f"transition{place}").relu = nn.Identity()
    return wrap(classifier, "cifar_densenet121", image_shape)
