"""The bound of workflow/bench/training.py is that of its operations, counted by hand."""

import math

import pytest
import torch

from workflow.bench import training


def seconds(act, flops_a_second=math.inf, bytes_a_second=math.inf):
    with training.Operations(flops_a_second, bytes_a_second) as operations:
        act()
    return operations.seconds


def test_a_product_computes_and_moves():
    left, right = torch.zeros(3, 5), torch.zeros(5, 7)
    assert seconds(lambda: left @ right, flops_a_second=10) == pytest.approx(2 * 3 * 5 * 7 / 10)
    assert seconds(lambda: left @ right, bytes_a_second=10) == pytest.approx(4 * (15 + 35 + 21) / 10)


def test_the_longer_of_both_counts_for_each_operation_and_a_view_for_none():
    left, right = torch.zeros(3, 5), torch.zeros(5, 7)
    both = seconds(lambda: (left @ right).relu().t(), flops_a_second=1, bytes_a_second=1)
    assert both == max(2 * 3 * 5 * 7, 4 * (15 + 35 + 21)) + 4 * (21 + 21)


def test_a_convolution_and_its_gradients():
    convolution, images_nchw = torch.nn.Conv2d(2, 3, 3, bias=False), torch.zeros(4, 2, 8, 8, requires_grad=True)
    forward = 2 * 4 * 3 * 2 * 9 * 6 * 6
    assert seconds(lambda: convolution(images_nchw), flops_a_second=1) == forward
    assert seconds(lambda: convolution(images_nchw).backward(torch.ones(4, 3, 6, 6)), flops_a_second=1) == 3 * forward


@pytest.mark.parametrize("way", [way for way in training.WAYS if way not in training.OF_GPU])
def test_a_step_of_each_way_has_a_bound(tmp_path, way):
    data = training.prepared(tmp_path / "data-0000000000", images=256, side=8, channels=3)
    model = {"name": "plain_cnn", "width": 2}
    for loss in training.LOSSES:
        run = training.training(tmp_path, data, torch.device("cpu"), model, training.WAYS[way], loss)
        assert training.seconds_of(run, 3, 0) > 0
        assert training.bound(run, torch.device("cpu")) > 0
