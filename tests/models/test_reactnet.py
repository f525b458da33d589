"""Binary layers against loops over every pixel and weight, their gradients against the published piecewise forms."""

import itertools

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lskd.models.reactnet import BinaryConv, Block, RPReLU, RSign, reactnet18


def sign(x: float) -> float:
    """Shen 2021, section 5: -1 below 0, else 1."""
    return -1.0 if x < 0 else 1.0


def polynomial(x: torch.Tensor) -> torch.Tensor:
    """Bi-Real Net's approximation of the sign (Liu 2018, eq. 5): whose derivative stands for that of the sign."""
    middle = torch.where(x < 0, 2 * x + x * x, 2 * x - x * x)
    return torch.where(x < -1, -torch.ones_like(x), torch.where(x < 1, middle, torch.ones_like(x)))


def by_loops(x_nchw: np.ndarray, weight_oihw: np.ndarray, stride: int) -> np.ndarray:
    """What a binary convolution says, pixel by pixel; 0 stands beyond the border."""
    images, _, height, width = x_nchw.shape
    padded = np.pad(x_nchw, ((0, 0), (0, 0), (1, 1), (1, 1)))
    out = np.zeros((images, len(weight_oihw), -(-height // stride), -(-width // stride)))
    for n, o, row, column in np.ndindex(*out.shape):
        scale = np.abs(weight_oihw[o]).mean()
        for c, i, j in np.ndindex(*weight_oihw.shape[1:]):
            out[n, o, row, column] += (
                sign(weight_oihw[o, c, i, j]) * padded[n, c, row * stride + i, column * stride + j]
            )
        out[n, o, row, column] *= scale
    return out


@pytest.mark.parametrize("stride", [1, 2])
def test_a_binary_layer_is_the_loop(stride):
    torch.manual_seed(0)
    shifted, convolution = RSign(3).double(), BinaryConv(3, 4, stride).double()
    nn.init.uniform_(shifted.shift, -0.5, 0.5)
    with torch.no_grad():
        convolution.weight[0, 0, 0, 0] = 0  # whose sign is 1
    x_nchw = torch.randn(2, 3, 5, 4, dtype=torch.float64)
    with torch.no_grad():
        actual = convolution(shifted(x_nchw)).numpy()
    signs = np.vectorize(sign)(x_nchw.numpy() + shifted.shift.detach().numpy()[None])
    assert np.allclose(actual, by_loops(signs, convolution.weight.detach().numpy(), stride), atol=1e-12)


def test_the_sign_of_zero_is_one():
    assert RSign(1)(torch.tensor([0.0, -0.0, 1e-30, -1e-30]).reshape(1, 1, 2, 2)).flatten().tolist() == [1, 1, 1, -1]


def test_the_gradient_of_a_sign_is_that_of_the_polynomial():
    layer = RSign(1).double()
    nn.init.constant_(layer.shift, 0.3)
    grid = torch.linspace(-2, 2, 401, dtype=torch.float64).reshape(1, 1, 1, -1) - 0.3 + 1e-4
    x_nchw, twin_nchw = grid.clone().requires_grad_(), grid.clone().requires_grad_()
    above = torch.randn_like(grid)
    layer(x_nchw).backward(above)
    polynomial(twin_nchw + 0.3).backward(above)
    assert torch.allclose(x_nchw.grad, twin_nchw.grad, atol=1e-12)
    assert torch.allclose(layer.shift.grad.sum(), twin_nchw.grad.sum())
    assert x_nchw.grad.count_nonzero() == 200  # of the 401 those between -1 and 1


def test_the_gradient_of_a_weight_is_that_of_the_clipped_weight():
    torch.manual_seed(0)
    layer = BinaryConv(2, 3, 1).double()
    nn.init.uniform_(layer.weight, -2, 2)
    x_nchw = torch.randn(2, 2, 5, 5, dtype=torch.float64)
    above = torch.randn(2, 3, 5, 5, dtype=torch.float64)
    layer(x_nchw).backward(above)
    binary = layer.binary_weight().detach().requires_grad_()
    F.conv2d(x_nchw, binary, padding=1).backward(above)
    is_inside = layer.weight.detach().abs() <= 1
    assert torch.allclose(layer.weight.grad, torch.where(is_inside, binary.grad, 0.0))
    assert 0 < is_inside.sum() < is_inside.numel() and binary.grad[~is_inside].abs().min() > 0


def test_rprelu_by_hand():
    layer = RPReLU(2)
    with torch.no_grad():
        layer.shift_in.copy_(torch.tensor([1.0, -1.0]).reshape(2, 1, 1))
        layer.prelu.weight.copy_(torch.tensor([0.5, 0.1]))
        layer.shift_out.copy_(torch.tensor([0.25, -2.0]).reshape(2, 1, 1))
    x_nchw = torch.tensor([-3.0, 2.0]).reshape(1, 1, 1, 2).expand(1, 2, 1, 2)
    expected = torch.tensor([[-2 * 0.5 + 0.25, 3 + 0.25], [-4 * 0.1 - 2, 1 - 2]]).reshape(1, 2, 1, 2)
    assert torch.allclose(layer(x_nchw), expected)


@pytest.mark.parametrize("pixels", [7, 8])
def test_a_block_that_halves_the_side_has_a_shortcut_of_its_size(pixels):
    block = Block(4, 8, 2)
    x_nchw = torch.randn(2, 4, pixels, pixels)
    assert block(x_nchw).shape == (2, 8, 4, 4)
    pooled_nchw = block.shortcut[0](x_nchw)
    for row, column in itertools.product(range(4), range(4)):
        window_nchw = x_nchw[:, :, 2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
        assert torch.allclose(pooled_nchw[:, :, row, column], window_nchw.mean((2, 3)), atol=1e-6)


def test_all_but_stem_shortcuts_and_head_is_binary():
    model = reactnet18(10, (3, 16, 16), width=4)
    seen = []
    for part in model.modules():
        if isinstance(part, BinaryConv):
            part.register_forward_hook(lambda part, x, y: seen.append((x[0].abs(), part.binary_weight().abs())))
    model(torch.randn(2, 3, 16, 16))
    assert len(seen) == 16
    for activations, weights in seen:
        assert (activations == 1).all()
        assert torch.equal(weights, weights[:, :1, :1, :1].expand_as(weights))
    real = [part.kernel_size for part in model.modules() if isinstance(part, nn.Conv2d)]
    assert real == [(3, 3), (1, 1), (1, 1), (1, 1)]


@pytest.mark.parametrize(("pixels", "last"), [(16, 2), (28, 4), (32, 4), (224, 7)])
def test_it_takes_small_and_large_images(pixels, last):
    model = reactnet18(10, (1, pixels, pixels), width=2).eval()
    with torch.no_grad():
        before_nchw = model.body[:-2](torch.randn(1, 1, pixels, pixels))
    assert before_nchw.shape == (1, 16, last, last)


def test_it_has_the_parameters_of_the_public_code():
    model = reactnet18(1000, (3, 224, 224))  # liuzechun/ReActNet, birealnet18
    assert sum(parameter.numel() for parameter in model.parameters()) == 11_704_424


def test_it_learns_and_twice_the_same():
    torch.manual_seed(1)
    images_nchw, labels_n = torch.randn(32, 1, 16, 16), torch.arange(32) % 4
    ends = []
    for _ in range(2):
        torch.manual_seed(0)
        model = reactnet18(4, (1, 16, 16), width=4)
        optimizer = torch.optim.Adam(model.parameters(), 0.01)
        losses = []
        for _ in range(30):
            loss = F.cross_entropy(model(images_nchw), labels_n)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        ends.append({name: tensor.clone() for name, tensor in model.state_dict().items()})
    assert losses[-1] < 0.7 * losses[0]
    assert all(torch.equal(tensor, ends[1][name]) for name, tensor in ends[0].items())
