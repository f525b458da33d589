"""Networks and losses as one are each alone, up to rounding."""

from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.func import functional_call, stack_module_state, vmap

from lskd.data.sources import Batch
from lskd.jobs.catalogue import model_entry
from lskd.jobs.execute import resolve
from lskd.study.config import SUPERVISIONS, Model, Supervision
from lskd.study.options import spec
from lskd.supervision import kd
from lskd.training.fused import Fused, Losses, _bare, pays
from lskd.training.loop import BatchLoss, Training, loss_options
from lskd.training.team import ALONE
from tests import small
from workflow.bench import fused

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return fused.prepared(tmp_path_factory.mktemp("bench") / "data-0000000000", images=64 * 4, side=28)


@pytest.mark.parametrize("model", fused.MODELS, ids=lambda model: f"{model['name']}-w{model['width']}")
def test_an_epoch_of_fused_members_is_that_of_each_alone(model, data, tmp_path):
    solo, losses = fused.members(tmp_path, data, CPU, model, 3)
    members = fused.members(tmp_path, data, CPU, model, 3)[0]
    together = Fused(members)
    batches = list(solo[0].source.batches(solo[0].batches_of(0)))
    as_one = Losses(losses, CPU)
    fused_sm = torch.stack([together.step([batch] * 3, as_one, len(batch.ids_n)) for batch in batches])
    assert as_one.are_one
    for place, (training, member, loss) in enumerate(zip(solo, members, losses, strict=True)):
        solo_s = []

        def kept(logits_nk, batch, loss=loss, solo_s=solo_s):
            solo_s.append(loss(logits_nk, batch))
            return solo_s[-1]

        for batch in batches:
            training._step(batch, len(batch.ids_n), kept)
        torch.testing.assert_close(fused_sm[:, place], torch.stack(solo_s).detach(), rtol=1e-4, atol=0)
        for name, weight in training.model.state_dict().items():
            torch.testing.assert_close(member.model.state_dict()[name], weight, rtol=1e-3, atol=1e-4)
        assert member.sums.tolist() == pytest.approx(training.sums.tolist(), rel=1e-4)
        assert (member.step, member.optimizer.lr) == (training.step, training.optimizer.lr)
    assert not torch.allclose(fused_sm[:, 0], fused_sm[:, 1], rtol=1e-2)


@pytest.mark.parametrize("shares", [True, False], ids=["shared", "of each"])
@pytest.mark.parametrize("shape", [(16, 6), (4, 4, 6)], ids=["samples", "samples and places"])
@pytest.mark.parametrize("has_bias", [True, False], ids=["bias", "no bias"])
def test_a_stacked_linear_layer_is_each_members(shares, shape, has_bias):
    layers = [nn.Linear(6, 3, bias=has_bias) for _ in range(5)]
    inputs = [torch.randn(shape)] * 5 if shares else list(torch.randn(5, *shape))
    stacks, _ = stack_module_state(layers)
    together, axis = (inputs[0], None) if shares else (torch.stack(inputs), 0)
    forward = vmap(partial(functional_call, _bare(layers[0])), (0, axis))
    found = forward(stacks, together)
    expected = torch.stack([layer(each) for layer, each in zip(layers, inputs, strict=True)])
    torch.testing.assert_close(found, expected)
    found.square().sum().backward()
    expected.square().sum().backward()
    for name, stack in stacks.items():
        each = torch.stack([getattr(layer, name).grad for layer in layers])
        torch.testing.assert_close(stack.grad, each)


def test_a_stacked_linear_layer_has_the_precision_of_one():
    layer, inputs_nd = nn.Linear(6, 3), torch.randn(16, 6)
    with torch.autocast("cpu", torch.bfloat16):
        expected = layer(inputs_nd)
        found = functional_call(_bare(layer), dict(layer.named_parameters()), inputs_nd)
    assert found.dtype == expected.dtype == torch.bfloat16
    torch.testing.assert_close(found, expected)


def test_a_row_names_its_network(data, tmp_path):
    assert fused.row(tmp_path, data, CPU, {"name": "mlp", "width": 16}, 2, 1).split()[:2] == ["mlp-w16", "2"]


def training_of(model: Model, tmp_path: Path, data: Path) -> Training:
    work = small.work(small.CATALOGUE.train(small.teacher("mlp", 4)), tmp_path, {"data": data})
    work.spec = work.spec | {"model": spec(model)}
    work.functions["model"] = resolve(model_entry(model))
    return work.functions["member"](work, CPU, ALONE)


def test_it_pays_for_small_networks_without_convolutions_and_random_numbers(tmp_path, data, capsys):
    answers = {}
    for name, width, dropout in (("mlp", 4, 0.0), ("mlp", 4, 0.5), ("mlp", 512, 0.0), ("plain_cnn", 4, 0.0)):
        model = Model(name=name, width=width, dropout=dropout)
        answers[name, width, dropout] = pays(training_of(model, tmp_path, data))
    assert [*answers.values()] == [True, False, False, False]
    assert "trained alone, as its network cannot be stacked" in capsys.readouterr().err


OPTIONS = {
    "T": ({"temperature": 1.0}, {"temperature": 4.0}, True),
    "the same": ({"temperature": 2.0}, {"temperature": 2.0}, True),
    "a weight that is asked for": (
        {"temperature": 2.0, "soft_weight": 0.5},
        {"temperature": 2.0, "soft_weight": 1.0},
        False,
    ),
    "a word": ({"temperature": 2.0, "reduction": "mean"}, {"temperature": 2.0, "reduction": "batchmean"}, False),
    "other names": ({"temperature": 2.0}, {"temperature": 2.0, "teacher_temperature": 3.0}, False),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_losses_as_one_are_each_alone(name):
    *options, are_one = OPTIONS[name]
    logits_mnk, taught_mnk = torch.randn(2, 2, 16, 5)
    batch = Batch(torch.arange(16), torch.zeros(16), torch.arange(16) % 5, 16)
    losses = [
        BatchLoss(kd.loss, each, lambda batch, own=own: (own,)) for each, own in zip(options, taught_mnk, strict=True)
    ]
    together = Losses(losses, CPU)
    leaves = [logits_mnk.clone().requires_grad_() for _ in range(2)]
    found_m = together(leaves[0], [batch] * 2)
    expected_m = torch.stack([loss(own_nk, batch) for loss, own_nk in zip(losses, leaves[1], strict=True)])
    assert together.are_one == are_one
    torch.testing.assert_close(found_m, expected_m, rtol=1e-6, atol=0)
    found_m.sum().backward()
    expected_m.sum().backward()
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize(
    "way", [name for name, way in SUPERVISIONS.items() if way.needs_teacher and way.form in ("", "full")]
)
def test_each_loss_of_a_teachers_logits_is_the_same_as_one(way):
    has_temperature = any(option.name == "temperature" for option in SUPERVISIONS[way].options)
    members = [Supervision(way=way, **({"temperature": each} if has_temperature else {})) for each in (2.0, 3.0)]
    logits_mnk, taught_mnk = torch.randn(2, 2, 16, 5)
    batch = Batch(torch.arange(16), torch.zeros(16), torch.arange(16) % 5, 16)
    losses = [
        BatchLoss(resolve(SUPERVISIONS[way].entry), loss_options(spec(each)), lambda batch, own=own: (own,))
        for each, own in zip(members, taught_mnk, strict=True)
    ]
    leaves = [logits_mnk.clone().requires_grad_() for _ in range(2)]
    found_m = Losses(losses, CPU)(leaves[0], [batch] * 2)
    expected_m = torch.stack([loss(own_nk, batch) for loss, own_nk in zip(losses, leaves[1], strict=True)])
    torch.testing.assert_close(found_m, expected_m, rtol=1e-6, atol=1e-7)
    found_m.sum().backward()
    expected_m.sum().backward()
    torch.testing.assert_close(leaves[0].grad, leaves[1].grad, rtol=1e-5, atol=1e-7)
