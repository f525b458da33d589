"""The models against published sizes, torchvision's own outputs and layers written out by hand."""

import copy
import math
import sys

import numpy as np
import pytest
import timm
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from lskd.errors import UserError
from lskd.jobs.execute import resolve
from lskd.models.alexnet_cifar import alexnet_cifar
from lskd.models.mlp import mlp
from lskd.models.plain_cnn import Pool, plain_cnn
from lskd.models.resnet_cifar import Block, resnet8, resnet20, resnet56
from lskd.models.timm_models import timm_model
from lskd.models.torchvision_models import torchvision_model
from lskd.study import registry
from lskd.study.keys import WIDTH

OWN = sorted(name for name, model in registry.MODELS.items() if model.task == registry.IMAGES)
NARROW = [name for name in OWN if WIDTH in registry.MODELS[name].options]
SHAPES = [(1, 8, 8), (3, 9, 14), (1, 28, 28)]
HANDFUL = ["resnet18", "mobilenet_v2", "densenet121", "shufflenet_v2_x0_5", "convnext_tiny", "efficientnet_b0"]
OTHERS = ["alexnet", "googlenet", "mnasnet0_5", "mobilenet_v3_small", "regnet_y_400mf", "swin_t"]


def small(name: str, classes: int, shape: tuple[int, int, int]) -> nn.Module:
    """A model of our own, narrow where it can be."""
    entry = registry.MODELS[name]
    return resolve(entry.entry)(classes, shape, **({"width": 4} if WIDTH in entry.options else {}))


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def check_split(model: nn.Module, shape: tuple[int, int, int], classes: int) -> None:
    """Features [N, H] and head compose to the logits [N, K], and a gradient reaches every parameter."""
    images_nchw = torch.randn(3, *shape)
    model.eval()
    features_nh = model.features(images_nchw)
    assert features_nh.shape == (3, model.head.in_features)
    assert isinstance(model.head, nn.Linear)
    logits_nk = model(images_nchw)
    assert logits_nk.shape == (3, classes)
    by_hand_nk = features_nh @ model.head.weight.T + model.head.bias
    assert torch.allclose(logits_nk, by_hand_nk, atol=1e-4, rtol=1e-4)
    model.train()(images_nchw).square().sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("name", "shape"),
    [(name, shape) for name in NARROW for shape in SHAPES] + [(name, SHAPES[1]) for name in OWN if name not in NARROW],
    ids=str,
)
def test_features_then_head_are_the_logits(name, shape):
    check_split(small(name, 5, shape), shape, 5)


@pytest.mark.parametrize("name", OWN)
def test_same_seed_same_weights_and_rows_are_independent(name):
    built = []
    for _ in range(2):
        torch.manual_seed(3)
        built.append(small(name, 4, (3, 8, 8)).eval())
    one, two = (model.state_dict() for model in built)
    assert one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)
    images_nchw = torch.randn(4, 3, 8, 8)
    alone_nk = torch.cat([built[0](image_chw[None]) for image_chw in images_nchw])
    assert torch.allclose(built[0](images_nchw), alone_nk, atol=1e-5)


def resnet_parameters(blocks: int, width: int, channels: int, classes: int) -> int:
    """6n+2 layers without biases, two numbers a channel in each norm, no parameters in shortcuts (He 2016, 4.2)."""
    convolutions = 9 * channels * width
    for stage in range(3):
        out = width * 2**stage
        inner = width if stage == 0 else out // 2
        convolutions += 9 * inner * out + 9 * out * out * (2 * blocks - 1)
    norms = 2 * width + sum(2 * 2 * blocks * width * 2**stage for stage in range(3))
    return convolutions + norms + 4 * width * classes + classes


@pytest.mark.parametrize(("build", "blocks"), [(resnet8, 1), (resnet20, 3), (resnet56, 9)])
@pytest.mark.parametrize(("width", "channels"), [(None, 3), (4, 1)])
def test_resnet_is_the_papers_in_size_and_depth(build, blocks, width, channels):
    model = build(10, (channels, 32, 32), width=width)
    assert parameters(model) == resnet_parameters(blocks, width or 16, channels, 10)
    layers = [module for module in model.modules() if isinstance(module, nn.Conv2d | nn.Linear)]
    assert len(layers) == 6 * blocks + 2


@pytest.mark.parametrize(("build", "millions"), [(resnet20, 0.27), (resnet56, 0.85)])
def test_resnet_has_the_parameters_of_he_2016_table_6(build, millions):
    assert parameters(build(10, (3, 32, 32))) / 1e6 == pytest.approx(millions, abs=0.005)


def test_shortcut_is_strided_and_padded_with_zeros():
    block = Block(2, 5, 2)
    for convolution in (block.conv1, block.conv2):
        nn.init.zeros_(convolution.weight)
    x_nchw = torch.rand(2, 2, 7, 6)
    expected = np.zeros((2, 5, 4, 3), np.float32)
    for n, c, row, column in np.ndindex(2, 2, 4, 3):
        expected[n, c, row, column] = x_nchw[n, c, 2 * row, 2 * column]
    assert np.array_equal(block(x_nchw).detach().numpy(), expected)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("size", [(2, 2), (5, 4), (16, 9)])
def test_pooling_is_torchs_with_gradients_and_without(size, layout):
    images_nchw = torch.randn(3, 4, *size).relu().to(memory_format=layout)
    images_nchw[0, 0, 0, 0] = torch.nan
    expected = nn.functional.max_pool2d(images_nchw, 2)
    with torch.no_grad():
        assert torch.equal(Pool()(images_nchw).nan_to_num(-1), expected.nan_to_num(-1))
    given, theirs = (images_nchw.clone().requires_grad_() for _ in range(2))
    Pool()(given).nansum().backward()
    nn.functional.max_pool2d(theirs, 2).nansum().backward()
    assert torch.equal(given.grad, theirs.grad)


def test_plain_cnn_is_yuans():
    model = plain_cnn(10, (3, 32, 32))
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    assert [module.out_channels for module in convolutions] == [32, 64, 128]
    assert [module.kernel_size for module in convolutions] == [(3, 3)] * 3
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    assert [(module.in_features, module.out_features) for module in linear] == [(128 * 4 * 4, 128), (128, 10)]
    x_nchw = images_nchw = torch.randn(2, 3, 32, 32)
    norms = [module for module in model.eval().modules() if isinstance(module, nn.BatchNorm2d)]
    for convolution, norm in zip(convolutions, norms, strict=True):
        x_nchw = F.max_pool2d(F.relu(norm(convolution(x_nchw))), 2)
    assert torch.equal(model.features(images_nchw), F.relu(linear[0](x_nchw.flatten(1))))


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_plain_cnn_is_the_same_to_the_bit_with_relu_before_the_pooling(layout):
    model = plain_cnn(10, (1, 14, 14), 4).to(memory_format=layout)
    other = copy.deepcopy(model)
    layers = list(other.body)
    for place, layer in enumerate(layers):
        if isinstance(layer, Pool):
            layers[place : place + 2] = [nn.ReLU(), nn.MaxPool2d(2)]
    other.body = nn.Sequential(*layers)
    images_nchw = torch.randint(-2, 3, (32, 1, 14, 14)).float().to(memory_format=layout)  # many alike
    for network in (model, other):
        F.cross_entropy(network(images_nchw), torch.arange(32) % 10).backward()
    for mine, others in zip(model.parameters(), other.parameters(), strict=True):
        assert torch.equal(mine.grad, others.grad) and mine.grad.abs().sum() > 0


def test_mlp_is_muellers():
    assert parameters(mlp(10, (1, 28, 28))) == 784 * 1200 + 1200 + 1200 * 1200 + 1200 + 1200 * 10 + 10
    assert parameters(mlp(10, (1, 28, 28), width=800)) == 784 * 800 + 800 + 800 * 800 + 800 + 800 * 10 + 10


def test_alexnet_has_the_parameters_that_its_tutorial_names():
    assert parameters(alexnet_cifar(10, (3, 24, 24))) == 1_068_298


def test_alexnet_pools_before_its_first_norm_and_after_its_second():
    model = alexnet_cifar(10, (3, 24, 24)).eval()
    one, two = (module for module in model.modules() if isinstance(module, nn.Conv2d))
    three, four, _ = (module for module in model.modules() if isinstance(module, nn.Linear))
    norm = nn.LocalResponseNorm(9, alpha=0.001, beta=0.75)
    images_nchw = torch.randn(2, 3, 24, 24) * 20
    x_nchw = norm(F.max_pool2d(F.relu(one(images_nchw)), 3, 2, 1))
    x_nchw = F.max_pool2d(norm(F.relu(two(x_nchw))), 3, 2, 1)
    assert torch.equal(model.features(images_nchw), F.relu(four(F.relu(three(x_nchw.flatten(1))))))


def test_alexnet_norm_is_tensorflows():
    norms = [module for module in alexnet_cifar(10, (3, 8, 8)).modules() if isinstance(module, nn.LocalResponseNorm)]
    assert len(norms) == 2
    x_nchw = torch.randn(2, 20, 3, 2, dtype=torch.float64) * 30
    expected_nchw = torch.empty_like(x_nchw)
    for channel in range(20):
        near_nchw = x_nchw[:, max(0, channel - 4) : channel + 5]
        scale_nhw = (1.0 + 0.001 / 9.0 * near_nchw.square().sum(1)) ** 0.75
        expected_nchw[:, channel] = x_nchw[:, channel] / scale_nhw
    for norm in norms:
        assert torch.allclose(norm(x_nchw), expected_nchw)


@pytest.mark.parametrize("build", [mlp, alexnet_cifar])
def test_dropout_acts_on_the_features_in_training_alone(build):
    torch.manual_seed(0)
    model = build(3, (1, 8, 8), width=64, dropout=0.5)
    images_nchw = torch.randn(64, 1, 8, 8)
    kept, dropped = model.eval().features(images_nchw), model.train().features(images_nchw)
    assert torch.equal(kept, model.eval().features(images_nchw))
    alive = build(3, (1, 8, 8), width=64).train().features(images_nchw)
    assert (dropped == 0).float().mean() > (alive == 0).float().mean() + 0.15


@pytest.mark.parametrize("arch", HANDFUL)
def test_torchvision_features_then_head_are_the_logits(arch):
    check_split(torchvision_model(7, (3, 48, 40), arch=arch), (3, 48, 40), 7)


@pytest.mark.parametrize("arch", [*HANDFUL, *OTHERS])
def test_torchvision_logits_are_those_of_the_model_unwrapped(arch):
    options = {"aux_logits": False, "init_weights": True} if arch == "googlenet" else {}
    torch.manual_seed(1)
    plain = torchvision.models.get_model(arch, weights=None, num_classes=6, **options).eval()
    torch.manual_seed(1)
    wrapped = torchvision_model(6, (3, 64, 64), arch=arch)
    assert wrapped.training
    assert parameters(wrapped) == parameters(plain)
    images_nchw = torch.randn(2, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(wrapped.eval()(images_nchw), plain(images_nchw))


def test_torchvision_takes_one_grey_channel():
    model = torchvision_model(4, (1, 32, 32), arch="resnet18").eval()
    grey_nchw = torch.randn(2, 1, 32, 32)
    assert torch.equal(model(grey_nchw), model(torch.cat([grey_nchw] * 3, dim=1)))


@pytest.mark.parametrize(
    ("arch", "shape", "said"),
    [
        ("resnet19", (3, 32, 32), "resnet18"),
        ("fasterrcnn_resnet50_fpn", (3, 32, 32), "no such classifier"),
        ("squeezenet1_0", (3, 64, 64), "no linear layer"),
        ("alexnet", (3, 32, 32), "3x32x32"),
        ("vit_b_32", (3, 32, 32), "Wrong image height"),
        ("resnet18", (4, 32, 32), "4x32x32"),
    ],
)
def test_torchvision_mistakes_are_told_in_one_line(arch, shape, said):
    with pytest.raises(UserError) as error:
        torchvision_model(10, shape, arch=arch)
    line = str(error.value)
    assert repr(arch) in line and said in line and "\n" not in line
    assert "take another" in line or "near:" in line


TIMM = ["resnet10t", "vit_tiny_patch16_224"]  # one takes images of any size, the other is built for one


def plain_timm(arch: str, classes: int, image_size: int) -> nn.Module:
    """timm's own model, of the same seed."""
    options = {"img_size": image_size} if arch.startswith("vit") else {}
    torch.manual_seed(1)
    return timm.create_model(arch, pretrained=False, num_classes=classes, **options).eval()


@pytest.mark.parametrize("arch", TIMM)
def test_timm_features_then_head_are_the_logits(arch):
    check_split(timm_model(7, (3, 32, 32), arch=arch), (3, 32, 32), 7)


@pytest.mark.parametrize("arch", TIMM)
def test_timm_logits_are_those_of_the_model_unwrapped(arch):
    plain = plain_timm(arch, 6, 32)
    torch.manual_seed(1)
    wrapped = timm_model(6, (3, 32, 32), arch=arch)
    assert wrapped.training and parameters(wrapped) == parameters(plain)
    images_nchw = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(wrapped.eval()(images_nchw), plain(images_nchw))


def test_timms_inception_v4_has_muellers_last_layer():
    """Mueller 2019, A.4; Szegedy 2017, figure 9: 1536 features, pooled. timm publishes 42.68 million parameters."""
    model = timm_model(1000, (3, 96, 96), arch="inception_v4").eval()
    assert parameters(model) / 1e6 == pytest.approx(42.68, abs=0.005)
    images_nchw = torch.randn(1, 3, 96, 96)
    with torch.no_grad():
        features_nh = model.features(images_nchw)
        assert features_nh.shape == (1, 1536) and model.head.weight.shape == (1000, 1536)
        assert torch.allclose(model(images_nchw), features_nh @ model.head.weight.T + model.head.bias, atol=1e-4)


@pytest.mark.parametrize(
    ("arch", "shape", "said"),
    [
        ("resnet10tt", (3, 32, 32), "resnet10t"),
        ("vit_tiny_patch16_224", (3, 32, 48), "32x48"),
        ("resnet10t", (4, 32, 32), "4x32x32"),
        ("squeezenet", (3, 32, 32), "Unknown model"),
    ],
)
def test_timm_mistakes_are_told_in_one_line(arch, shape, said):
    with pytest.raises(UserError) as error:
        timm_model(10, shape, arch=arch)
    line = str(error.value)
    assert f"timm/{arch}" in line and said in line and "\n" not in line


def test_without_timm_its_models_are_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(UserError, match="model timm/resnet10t: timm is not installed here; pip install timm"):
        timm_model(10, (3, 32, 32), arch="resnet10t")


@pytest.mark.parametrize("arch", ["resnet18", "mobilenet_v2", "swin_t"])
def test_a_weight_is_found_by_its_librarys_name(arch):
    plain = torchvision.models.get_model(arch, weights=None, num_classes=6)
    wrapped = torchvision_model(6, (3, 64, 64), arch=arch)
    names = [wrapped.own_name(name) for name in plain.state_dict()]
    assert set(names) == set(wrapped.state_dict())
    shapes = {wrapped.own_name(name): tensor.shape for name, tensor in plain.state_dict().items()}
    assert shapes == {name: tensor.shape for name, tensor in wrapped.state_dict().items()}


def test_new_resnet_keeps_the_scale_of_its_input():
    """He's initial weights: activations neither vanish nor explode through 56 layers in training."""
    torch.manual_seed(0)
    spread = resnet56(10, (3, 16, 16)).features(torch.randn(16, 3, 16, 16)).std().item()
    assert math.isfinite(spread) and 0.05 < spread < 50
