"""Counts against Yuan's table 3, torchvision's own records and closed forms."""

import json

import pyarrow.parquet as pq
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn

from lskd.inference.complexity import complexity, measure, run
from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import resolve
from lskd.jobs.work import Work
from lskd.models.mlp import mlp
from lskd.models.resnet_cifar import resnet8, resnet20
from lskd.models.resnext_cifar import resnext29_8x64d
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


@pytest.mark.parametrize("arch", TABLE_3)
def test_counts_are_those_of_yuan_table_3(arch):
    # the table's GoogLeNet has its auxiliary heads, whose work is not counted
    options = {"aux_logits": True, "init_weights": False} if arch == "googlenet" else {}
    with torch.device("meta"):
        model = torchvision.models.get_model(arch, weights=None, **options)
    actual = complexity(model, (3, 224, 224))
    parameters, flops = TABLE_3[arch]
    assert actual["parameters"] / 1e6 == pytest.approx(parameters, abs=0.0051)
    assert actual["flops"] / 1e9 == pytest.approx(flops, abs=0.0051)


def test_resnext29_has_the_parameters_of_the_table_but_a_billion_flops_more():
    """At 3x224x224, where the table says that it is, it would have 264 billion: the table's 4.40 is a slip of 5.40."""
    with torch.device("meta"):
        actual = complexity(resnext29_8x64d(100, (3, 32, 32)), (3, 32, 32))
    assert actual["parameters"] / 1e6 == pytest.approx(34.52, abs=0.005)
    assert actual["flops"] / 1e9 == pytest.approx(4.40 + 1, abs=0.015)  # their counter sees no ReLU that is a function


PUBLISHED = """
    resnet18 resnet34 resnet50 resnet101 resnext50_32x4d resnext101_32x8d wide_resnet50_2 mobilenet_v2
    shufflenet_v2_x1_0 densenet121 googlenet efficientnet_b0 convnext_tiny swin_t vit_b_32
""".split()


@pytest.mark.parametrize("arch", PUBLISHED)
def test_counts_are_those_that_torchvision_records(arch):
    with torch.device("meta"):
        actual = complexity(torchvision_model(1000, (3, 224, 224), arch=arch), (3, 224, 224))
    recorded = torchvision.models.get_model_weights(arch).DEFAULT.meta
    assert actual["parameters"] == recorded["num_params"]
    assert actual["multiply_adds"] / 1e9 == pytest.approx(recorded["_ops"], abs=0.0006)


def test_norms_and_relus_are_counted_by_their_outputs():
    class Functions(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv, self.norm, self.relu = nn.Conv2d(3, 5, 3, padding=1), nn.BatchNorm2d(5), nn.ReLU()

        def forward(self, x):
            x = self.relu(self.norm(self.conv(x)))
            return F.relu6(torch.relu_(F.relu(x) + 1))

    outputs = 5 * 7 * 6
    actual = complexity(Functions(), (3, 7, 6))
    assert actual["multiply_adds"] == outputs * 27
    assert actual["flops"] == actual["multiply_adds"] + outputs * (2 + 4)


def test_an_mlp_has_one_flop_a_weight():
    actual = complexity(mlp(7, (1, 8, 9), width=11), (1, 8, 9))
    weights = 72 * 11 + 11 * 11 + 11 * 7
    assert actual == {"parameters": weights + 11 + 11 + 7, "multiply_adds": weights, "flops": weights + 11 + 11}


def test_resnet20_by_hand():
    side = {16: 32, 32: 16, 64: 8}
    flops = 9 * 3 * 16 * 32**2 + 64 * 10
    for inner, out in [(16, 16), (16, 32), (32, 64)]:
        flops += side[out] ** 2 * 9 * (inner * out + 5 * out * out)
    assert complexity(resnet20(10, (3, 32, 32)), (3, 32, 32))["multiply_adds"] == flops


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
    rows = {row["model"]: row for row in measure(specs, builders, ["resnet8-w4"])}
    assert rows.keys() == models.keys()
    images = {"resnet8-w4": "3x32x32", "regnet_y_400mf": "3x224x224", "shufflenet_v2_x1_0": "3x224x224"}
    assert {name: row["image"] for name, row in rows.items()} == images
    assert rows["resnet8-w4"]["parameters"] == sum(
        parameter.numel() for parameter in resnet8(100, (3, 32, 32), 4).parameters()
    )
    assert rows["shufflenet_v2_x1_0"]["parameters"] == 2_278_604
    recorded = torchvision.models.get_model_weights("regnet_y_400mf").DEFAULT.meta
    assert rows["regnet_y_400mf"]["parameters"] == recorded["num_params"]
    assert rows["regnet_y_400mf"]["multiply_adds"] / 1e9 == pytest.approx(recorded["_ops"], rel=2e-3)


def test_the_stage_writes_the_rows_and_where_they_come_from(tmp_path):
    spec = {"family": "complexity", "models": {"mlp": {"name": "mlp", "width": 2}}}
    work = Work("demo/s/f/complexity", "0123456789", spec, tmp_path, {}, {"model mlp": mlp, "run": run})
    run(work)
    table = pq.read_table(tmp_path / "metrics.parquet")
    pixels = 3 * 224 * 224
    flops = pixels * 2 + 4 + 2000
    counts = {"parameters": flops + 2 + 2 + 1000, "multiply_adds": flops, "flops": flops + 4}
    assert table.to_pylist() == [{"model": "mlp", "image": "3x224x224"} | counts]
    assert json.loads(table.schema.metadata[b"lskd"]) == work.origin
