"""Counts against Yuan's table 3, torchvision's own records and closed forms."""

import json
from collections.abc import Callable

import pyarrow.parquet as pq
import pytest
import torch
import torchvision
from torch import nn
from torchvision.models.googlenet import BasicConv2d

from lskd.inference.complexity import complexity, measure, run
from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import resolve
from lskd.jobs.work import Work
from lskd.models.mlp import mlp
from lskd.models.resnet_cifar import resnet20
from lskd.models.torchvision_models import torchvision_model
from lskd.study.config import Model
from lskd.study.runs import model_spec

# Yuan 2020, supplement, table 3: 10^6 parameters and 10^9 FLOPs at 3x224x224
TABLE_3 = {
    "mobilenet_v2": (3.50, 0.32),
    "shufflenet_v2_x1_0": (2.28, 0.15),
    "resnet18": (11.69, 1.82),
    "resnet50": (25.56, 4.12),
    "googlenet": (13.0, 1.51),
    "densenet121": (7.98, 2.88),
    "resnext101_32x8d": (88.79, 16.51),
}


def norms_and_activations(model: nn.Module) -> Callable[[], int]:
    """Counts, once the model has run, what the table's counter adds: 2 for each output of a norm, 1 of a ReLU."""
    counted = []
    for part in model.modules():
        weight = 2 * isinstance(part, nn.BatchNorm2d) + isinstance(part, nn.ReLU | nn.ReLU6 | BasicConv2d)
        if weight:
            part.register_forward_hook(lambda part, x, y, weight=weight: counted.append(weight * y.numel()))
    return lambda: sum(counted)


@pytest.mark.parametrize("arch", TABLE_3)
def test_counts_are_those_of_yuan_table_3(arch):
    # the table's GoogLeNet has its auxiliary heads, whose work is not counted
    options = {"aux_logits": True, "init_weights": False} if arch == "googlenet" else {}
    with torch.device("meta"):
        model = torchvision.models.get_model(arch, weights=None, **options)
    rest = norms_and_activations(model)
    actual = complexity(model, (3, 224, 224))
    parameters, flops = TABLE_3[arch]
    assert actual["parameters"] / 1e6 == pytest.approx(parameters, abs=0.0051)
    assert (actual["flops"] + rest()) / 1e9 == pytest.approx(flops, abs=0.0051)
    theirs = {"mobilenet_v2": 0.07, "shufflenet_v2_x1_0": 0.04}.get(arch, 0.02)
    assert flops * (1 - theirs) < actual["flops"] / 1e9 < flops


@pytest.mark.parametrize("arch", ["resnet18", "convnext_tiny", "swin_t", "vit_b_32"])
def test_counts_are_those_that_torchvision_records(arch):
    with torch.device("meta"):
        actual = complexity(torchvision_model(1000, (3, 224, 224), arch=arch), (3, 224, 224))
    recorded = torchvision.models.get_model_weights(arch).DEFAULT.meta
    assert actual["parameters"] == recorded["num_params"]
    assert actual["flops"] / 1e9 == pytest.approx(recorded["_ops"], rel=1e-3)


def test_an_mlp_has_one_flop_a_weight():
    actual = complexity(mlp(7, (1, 8, 9), width=11), (1, 8, 9))
    weights = 72 * 11 + 11 * 11 + 11 * 7
    assert actual == {"parameters": weights + 11 + 11 + 7, "flops": weights}


def test_resnet20_by_hand():
    side = {16: 32, 32: 16, 64: 8}
    flops = 9 * 3 * 16 * 32**2 + 64 * 10
    for inner, out in [(16, 16), (16, 32), (32, 64)]:
        flops += side[out] ** 2 * 9 * (inner * out + 5 * out * out)
    assert complexity(resnet20(10, (3, 32, 32)), (3, 32, 32))["flops"] == flops


@pytest.mark.parametrize("training", [True, False])
def test_counting_leaves_the_model_as_it_was(training):
    model = resnet20(10, (3, 8, 8), width=4).train(training)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    complexity(model, (3, 8, 8))
    assert model.training == training and model.head.training == training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_measure_has_a_row_for_each_model():
    models = {
        "resnet8-w4": {"name": "resnet8", "width": 4},
        "regnet_y_400mf": {"name": "regnet_y_400mf"},  # computes with tensors as it is built
        "shufflenet_v2_x1_0": {"name": "shufflenet_v2_x1_0"},
    }
    builders = {slug: resolve(model_entry(Model(**model))) for slug, model in models.items()}
    specs = {slug: model_spec(Model(**model)) for slug, model in models.items()}
    rows = {row["model"]: row for row in measure(specs, builders)}
    assert rows.keys() == models.keys() and {row["image"] for row in rows.values()} == {"3x224x224"}
    assert rows["shufflenet_v2_x1_0"]["parameters"] == 2_278_604
    recorded = torchvision.models.get_model_weights("regnet_y_400mf").DEFAULT.meta
    assert rows["regnet_y_400mf"]["parameters"] == recorded["num_params"]
    assert rows["regnet_y_400mf"]["flops"] / 1e9 == pytest.approx(recorded["_ops"], rel=2e-3)


def test_the_stage_writes_the_rows_and_where_they_come_from(tmp_path):
    spec = {"family": "complexity", "models": {"mlp": {"name": "mlp", "width": 2}}}
    work = Work("demo/s/f/complexity", "0123456789", spec, tmp_path, {}, {"model mlp": mlp, "run": run})
    run(work)
    table = pq.read_table(tmp_path / "metrics.parquet")
    pixels = 3 * 224 * 224
    flops = pixels * 2 + 4 + 2000
    assert table.to_pylist() == [
        {"model": "mlp", "image": "3x224x224", "parameters": flops + 2 + 2 + 1000, "flops": flops}
    ]
    assert json.loads(table.schema.metadata[b"lskd"]) == work.origin
