"""The forms for small images against the sizes of Yuan's public code, and their units against torchvision's."""

import pytest
import torch
from torch import nn
from torchvision.models.shufflenetv2 import channel_shuffle

from lskd.jobs.execute import resolve
from lskd.models.compact_cifar import MOBILE, InvertedResidual, ShuffleUnit
from lskd.models.googlenet_cifar import Inception
from lskd.study import registry

# parameters of the networks that yuanli2333/Teacher-free-Knowledge-Distillation builds, for 100 classes; the pixels
# that are left before global average pooling, of 32
SIZES = {
    "cifar_resnet18": (11_220_132, 4),
    "cifar_resnet50": (23_705_252, 4),
    "cifar_densenet121": (7_048_548, 4),
    "cifar_mobilenet_v2": (2_369_380, 5),  # of 34: the stem has a border
    "cifar_shufflenet_v2": (1_360_896, 4),
    "cifar_googlenet": (6_258_500, 8),
    "resnext29_8x64d": (34_518_948, 8),
}


def last_side(model: nn.Module, images_nchw: torch.Tensor) -> int:
    """The height of what the last pooling of a network reads."""
    sides = []
    for part in model.modules():
        if isinstance(part, nn.AdaptiveAvgPool2d):
            part.register_forward_hook(lambda part, x, y: sides.append(x[0].shape[2]))
    model(images_nchw)
    return sides[-1]


@pytest.mark.parametrize("name", SIZES)
def test_size_and_strides_are_those_of_the_public_code(name):
    count, side = SIZES[name]
    model = resolve(registry.MODELS[name].entry)(100, (3, 32, 32))
    assert sum(parameter.numel() for parameter in model.parameters()) == count
    if name != "cifar_densenet121":  # torchvision pools it by a function
        with torch.no_grad():
            assert last_side(model.eval(), torch.randn(1, 3, 32, 32)) == side


def test_densenets_stem_and_transitions_have_no_relu():
    model = resolve("lskd.models.cifar_forms:cifar_densenet121")(100, (3, 32, 32)).eval()
    features = model.body.features
    images_nchw = torch.randn(2, 3, 32, 32)
    stem_nchw = features[:4](images_nchw)
    assert torch.equal(stem_nchw, features.conv0(images_nchw)) and stem_nchw.shape == (2, 64, 32, 32)
    x_nchw = torch.randn(1, 256, 8, 8)
    transition = features.transition1
    by_hand_nchw = nn.functional.avg_pool2d(transition.conv(transition.norm(x_nchw)), 2)
    assert torch.equal(transition(x_nchw), by_hand_nchw) and by_hand_nchw.shape == (1, 128, 4, 4)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_shuffle_unit_is_two_ways_and_torchvisions_shuffle(stride):
    unit = ShuffleUnit(8, 8 if stride == 1 else 12, stride).eval()
    x_nchw = torch.randn(2, 8, 6, 6)
    one, two = (x_nchw[:, :4], x_nchw[:, 4:]) if stride == 1 else (x_nchw, x_nchw)
    together_nchw = torch.cat([one if stride == 1 else unit.shortcut(one), unit.body(two)], dim=1)
    assert torch.equal(unit(x_nchw), channel_shuffle(together_nchw, 2))


def test_an_inverted_residual_adds_its_input_where_the_shape_is_kept():
    for channels, out, stride, is_kept in [(4, 4, 1, True), (4, 4, 2, False), (4, 6, 1, False)]:
        block = InvertedResidual(channels, out, stride, 6).eval()
        x_nchw = torch.randn(2, channels, 6, 6)
        rest_nchw = block(x_nchw) - block.body(x_nchw)
        assert torch.allclose(rest_nchw, x_nchw if is_kept else torch.zeros_like(rest_nchw), atol=1e-6)
        assert rest_nchw.shape == (2, out, 6 // stride, 6 // stride)
        assert block.body[3].groups == 6 * channels
    assert sum(blocks for _, _, blocks, _ in MOBILE) == 17  # as in MobileNetV2's table 2


def test_an_inception_has_four_branches_side_by_side():
    unit = Inception(5, 2, 3, 4, 3, 6, 1).eval()
    x_nchw = torch.randn(2, 5, 7, 7)
    parts = unit(x_nchw).split([2, 4, 6, 1], dim=1)
    for part, branch in zip(parts, unit.branches, strict=True):
        assert torch.equal(part, branch(x_nchw)) and part.shape[2:] == (7, 7)


@pytest.mark.parametrize("name", ["cifar_mobilenet_v2", "cifar_shufflenet_v2"])
def test_half_the_width_has_a_quarter_of_the_weights(name):
    build = resolve(registry.MODELS[name].entry)
    full, half = (
        sum(part.weight.numel() for part in model.modules() if isinstance(part, nn.Conv2d) and part.groups == 1)
        for model in (build(10, (3, 32, 32)), build(10, (3, 32, 32), width=16 if "mobile" in name else 12))
    )
    assert half / full == pytest.approx(0.25, abs=0.005)
