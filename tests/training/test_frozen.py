"""Fine-tuning of the last layers, at another image size, against a loop in plain torch; and across data sets."""

import pytest
import torch
import torch.nn.functional as F
import torchvision
from safetensors.torch import load_file
from torch import nn

from lskd.data.augment import normalise
from lskd.data.sources import load_source
from lskd.models.mlp import mlp
from lskd.models.resnet_cifar import resnet8
from lskd.models.torchvision_models import torchvision_model
from lskd.study.config import Data, Study, Supervision
from lskd.study.runs import Run, members
from lskd.training.frozen import train_last
from lskd.training.schedules import epoch_batches
from tests import small

LAST = ("stages.2.norm2.", "head.")


def fine_tuned(first: Run, name: str, head: str, **fields) -> Run:
    recipe = small.recipe(**fields)
    return Run(Data(name=name), first.model, "tune", recipe, Supervision(), 0, start=first, start_head=head)


def trained(run: Run, root, data, start):
    work = small.work(small.CATALOGUE.train(run), root, {"data": data, "start": start})
    return load_file(small.run(work, "train") / "model.safetensors")


def plain_loop(run: Run, start: dict[str, torch.Tensor], data) -> dict[str, torch.Tensor]:
    """SGD with momentum on the last normalisation and linear layer of a network in evaluation mode."""
    source = load_source(data / "data.safetensors", "train", torch.device("cpu"))
    seen = normalise(torch.from_numpy(small.noisy(shape=source.shape)["train_images"]), source.mean_c, source.std_c)
    network = resnet8(len(source.classes), source.shape, width=4)
    network.load_state_dict(start)
    network.eval()
    network.stages[2].norm2.train()
    optimizer = torch.optim.SGD(
        [*network.stages[2].norm2.parameters(), *network.head.parameters()], 0.05, 0.9, weight_decay=5e-4
    )
    for epoch in range(run.recipe.epochs):
        for ids in epoch_batches(run.seed, epoch, len(source), run.recipe.batch_size):
            loss = F.cross_entropy(network(seen[ids]), source.labels_n[ids])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.state_dict()


def test_fixres_at_a_larger_size_is_a_plain_loop_and_leaves_all_else_to_the_bit(tmp_path):
    data, larger = small.prepared(tmp_path), small.prepared(tmp_path, shape=(1, 12, 12))
    first = small.teacher()
    start = small.trained(first, tmp_path, data)
    before = load_file(start / "model.safetensors")
    run = fine_tuned(first, "larger", "keep", train_only="last", schedule="constant", epochs=2)
    after = trained(run, tmp_path, larger, start)
    expected = plain_loop(run, before, larger)
    for name, tensor in after.items():
        if name.startswith(LAST):
            assert not torch.equal(tensor, before[name])
            assert torch.allclose(tensor, expected[name], rtol=1e-4, atol=1e-6)
        else:
            assert torch.equal(tensor, before[name])


def test_of_several_epochs_with_validation_between_statistics_of_frozen_normalisations_stay(tmp_path):
    """Where all is trained they do not."""
    data = small.prepared(tmp_path)
    first = small.teacher(epochs=1)
    start = small.trained(first, tmp_path, data)
    before = load_file(start / "model.safetensors")
    for train_only in ("last", "all"):
        after = trained(fine_tuned(first, "same", "keep", train_only=train_only), tmp_path, data, start)
        changed = {name for name in after if not torch.equal(after[name], before[name])}
        assert ("stem.1.running_mean" in changed) == (train_only == "all")
        assert {"stages.2.norm2.running_mean", "stages.2.norm2.num_batches_tracked", "head.weight"} <= changed


def test_a_new_head_for_other_classes_starts_from_a_run_of_other_data(tmp_path, monkeypatch):
    """As CUB's teacher starts from ImageNet's."""
    first = small.teacher(labels={"label_smoothing": 0.1})
    start = small.trained(first, tmp_path, small.prepared(tmp_path))
    monkeypatch.setattr(small, "CLASSES", ["elk", "fox", "gnu", "hare", "ibis"])
    other = small.prepared(tmp_path / "other")
    before = load_file(start / "model.safetensors")
    run = fine_tuned(first, "others", "new", snapshot_epochs=[0])
    work = small.work(small.CATALOGUE.train(run), tmp_path, {"data": other, "start": start})
    begun = load_file(small.run(work, "train") / "snapshots.safetensors")
    torch.manual_seed(run.seed)
    fresh = resnet8(5, (1, 8, 8), width=4).state_dict()
    for name, tensor in fresh.items():
        assert torch.equal(begun[f"0/{name}"], tensor if name.startswith("head.") else before[name])


def test_each_run_of_a_group_starts_from_the_run_of_other_data_with_its_alpha_and_seed():
    group = {"model": "resnet8", "recipe": "r", "label_smoothing": [0.0, 0.1]}
    tuned = group | {"data": {"dataset": "glyphs"}, "start": {"run": "first", "head": "new"}}
    study = Study(
        study="s",
        seeds=[0, 1],
        data={"dataset": "cifar10"},
        recipes={"r": {"epochs": 2}},
        teachers={"first": group, "tuned": tuned},
        figures={"grid": {"kind": "grid"}},
    )
    runs = [member.run for member in members(study) if member.group == "tuned"]
    assert len(runs) == 4 and len({run.title for run in runs}) == 4
    for run in runs:
        assert (run.start.label_smoothing, run.start.seed) == (run.label_smoothing, run.seed)
        assert (run.data.dataset, run.start.data.dataset, run.start_head) == ("glyphs", "cifar10", "new")


@pytest.mark.parametrize(
    ("network", "last"),
    [
        (mlp(3, (1, 8, 8), width=4), ["head"]),
        (resnet8(3, (1, 8, 8), width=4), ["stages.2.norm2", "head"]),
        (torchvision_model(3, (3, 32, 32), arch="resnet18"), ["body.layer4.1.bn2", "head"]),
        (torchvision_model(3, (3, 32, 32), arch="mobilenet_v2"), ["body.features.18.1", "head"]),
        (torchvision_model(3, (3, 32, 32), arch="densenet121"), ["body.features.norm5", "head"]),
    ],
    ids=["mlp", "resnet8", "resnet18", "mobilenet_v2", "densenet121"],
)
def test_the_last_layers(network, last):
    chosen = train_last(network)
    names = {module: name for name, module in network.named_modules()}
    assert [names[module] for module in chosen] == last
    trained_names = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
    assert {name.rpartition(".")[0] for name in trained_names} == set(last)


def test_what_is_trained_alone_needs_a_start():
    with pytest.raises(ValueError, match=r"start of t: is missing, but r has train_only: last; name the group"):
        Study(
            study="s",
            recipes={"r": {"train_only": "last"}},
            teachers={"t": {"model": "resnet8", "recipe": "r"}},
            figures={"grid": {"kind": "grid"}},
        )


def test_the_normalisation_is_the_last_that_a_network_runs():
    """Registered last, as is checked on ResNet-50 by the order in which they are run."""
    network = torchvision.models.resnet50(num_classes=3).eval()
    order = []
    for name, module in network.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            module.register_forward_hook(lambda *_, name=name: order.append(name))
    network(torch.zeros(1, 3, 32, 32))
    last = [name for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)][-1]
    assert order[-1] == last
