"""The fused steps against torch's own classes, of the same numbers."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lskd.jobs.execute import resolve
from lskd.study import registry
from lskd.study.config import Recipe
from lskd.study.options import spec
from lskd.training.optimizers import Optimizer


def built(fields, parameters) -> Optimizer:
    recipe = Recipe(**fields)
    return resolve(registry.OPTIMIZERS[recipe.optimizer].entry)(spec(recipe), parameters)


def trajectory(make, step, draws: list[torch.Tensor]) -> list[torch.Tensor]:
    weight, unused = (torch.nn.Parameter(torch.linspace(-1, 1, 6)) for _ in range(2))
    optimizer = make([weight, unused])
    path = []
    for i, gradient in enumerate(draws):
        weight.grad = gradient.clone()
        step(optimizer, 0.1 / (i + 1))
        path.append(weight.detach().clone())
    assert torch.equal(unused, torch.linspace(-1, 1, 6))  # no gradient, no weight decay
    return path


def torch_step(optimizer, lr):
    optimizer.param_groups[0]["lr"] = lr
    optimizer.step()


def our_step(optimizer, lr):
    optimizer.lr = lr
    optimizer.step()


CASES = [
    ({"momentum": 0.9, "weight_decay": 0.01}, lambda p: torch.optim.SGD(p, 0.1, 0.9, weight_decay=0.01)),
    ({"momentum": 0.0, "weight_decay": 0.0}, lambda p: torch.optim.SGD(p, 0.1)),
    (
        {"momentum": 0.8, "weight_decay": 0.01, "nesterov": True},
        lambda p: torch.optim.SGD(p, 0.1, 0.8, weight_decay=0.01, nesterov=True),
    ),
    (
        {"optimizer": "adam", "momentum": 0.7, "weight_decay": 0.01},
        lambda p: torch.optim.Adam(p, 0.1, (0.7, 0.999), weight_decay=0.01),
    ),
]


@pytest.mark.parametrize(("fields", "theirs"), CASES)
def test_steps_equal_torch(fields, theirs):
    draws = [torch.randn(6, generator=torch.Generator().manual_seed(seed)) for seed in range(5)]
    ours = trajectory(lambda p: built(fields, p), our_step, draws)
    for mine, other in zip(ours, trajectory(theirs, torch_step, draws), strict=True):
        torch.testing.assert_close(mine, other, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("fields", [fields for fields, _ in CASES])
def test_state_survives(fields):
    weight = torch.nn.Parameter(torch.ones(3))
    one, two = built(fields, [weight]), built(fields, [weight])
    weight.grad = torch.full((3,), 0.5)
    one.step()
    two.load_state_dict(one.state_dict())
    for mine, other in zip(one.state_dict().values(), two.state_dict().values(), strict=True):
        assert all(torch.equal(a, b) for a, b in zip(mine, other, strict=True))


def test_every_optimizer_is_tested():
    assert {fields.get("optimizer", "sgd") for fields, _ in CASES} == set(registry.OPTIMIZERS)


@pytest.mark.parametrize("fields", [fields for fields, _ in CASES])
def test_a_gradient_scaler_steps_as_without_one(fields):
    one, two = (torch.nn.Parameter(torch.linspace(-1, 1, 6)) for _ in range(2))
    plain, scaled = built(fields, [one]), built(fields, [two])
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for _ in range(3):
        plain.zero_grad()
        one.square().sum().backward()
        plain.step()
        scaled.zero_grad()
        scaler.scale(two.square().sum()).backward()
        scaler.step(scaled)
        scaler.update()
    torch.testing.assert_close(one, two)
    before = two.detach().clone()
    two.grad = torch.full((6,), torch.inf)
    scaler.step(scaled)
    assert torch.equal(two, before)  # a step that overflowed is left out


def test_a_step_does_not_import_the_compiler():
    code = """
import sys, torch
from lskd.study.config import Recipe
from lskd.study.options import spec
from lskd.training.optimizers import adam, sgd
for make in (adam, sgd):
    weight = torch.nn.Parameter(torch.ones(3))
    weight.sum().backward()
    make(spec(Recipe()), [weight]).step()
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2]).returncode == 0
