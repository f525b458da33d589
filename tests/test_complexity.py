"""Counts against Yuan's table 3, torchvision's own records and closed forms."""

import json

import pyarrow.parquet as pq
import pytest
import torch
import torchvision

from lskd import complexity as module
from lskd import stage
from lskd.complexity import complexity, measure
from lskd.models.mlp import mlp
from lskd.models.resnet_cifar import resnet20
from lskd.models.torchvision_models import torchvision_model
from lskd.stage import resolve

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


def on_meta(arch: str, **options):
    with torch.device("meta"):
        return torchvision.models.get_model(arch, weights=None, **options)


@pytest.mark.parametrize("arch", TABLE_3)
def test_counts_are_those_of_yuan_table_3(arch):
    options = (
        {"aux_logits": True, "init_weights": False} if arch == "googlenet" else {}
    )  # the table counts the aux heads
    found = complexity(on_meta(arch, **options), (3, 224, 224))
    parameters, flops = TABLE_3[arch]
    assert found["parameters"] / 1e6 == pytest.approx(parameters, rel=0.002)
    # two digits printed, and their counter adds norms and activations
    assert found["flops"] / 1e9 == pytest.approx(flops, rel=0.01, abs=0.02)


@pytest.mark.parametrize("arch", ["resnet18", "convnext_tiny", "swin_t", "vit_b_32"])
def test_counts_are_those_that_torchvision_records(arch):
    with torch.device("meta"):
        found = complexity(torchvision_model(1000, (3, 224, 224), arch=arch), (3, 224, 224))
    recorded = torchvision.models.get_model_weights(arch).DEFAULT.meta
    assert found["parameters"] == recorded["num_params"]
    assert found["flops"] / 1e9 == pytest.approx(recorded["_ops"], rel=1e-3)


def test_an_mlp_has_one_flop_a_weight():
    found = complexity(mlp(7, (1, 8, 9), width=11), (1, 8, 9))
    weights = 72 * 11 + 11 * 11 + 11 * 7
    assert found == {"parameters": weights + 11 + 11 + 7, "flops": weights}


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
    rows = {row["model"]: row for row in measure(models, resolve)}
    assert rows.keys() == models.keys() and {row["image"] for row in rows.values()} == {"3x224x224"}
    assert rows["shufflenet_v2_x1_0"]["parameters"] == 2_278_604
    recorded = torchvision.models.get_model_weights("regnet_y_400mf").DEFAULT.meta
    assert rows["regnet_y_400mf"]["parameters"] == recorded["num_params"]
    assert rows["regnet_y_400mf"]["flops"] / 1e9 == pytest.approx(recorded["_ops"], rel=2e-3)


def test_stage_writes_the_rows_and_where_they_come_from(tmp_path):
    spec, out = {"models": {"mlp": {"name": "mlp", "width": 2}}}, tmp_path / "complexity.parquet"
    arguments = ["--spec", json.dumps(spec), "--out", str(out), "--code", ""]
    module.main(stage.parser("complexity", "out").parse_args(arguments))
    written = pq.read_table(out)
    pixels = 3 * 224 * 224
    flops = pixels * 2 + 4 + 2000
    assert written.to_pylist() == [
        {"model": "mlp", "image": "3x224x224", "parameters": flops + 2 + 2 + 1000, "flops": flops}
    ]
    assert json.loads(written.schema.metadata[b"lskd"])["spec"] == spec
