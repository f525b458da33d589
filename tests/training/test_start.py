"""Checkpoints of a user's own: what is read, under which names, every refusal, and trainings that begin with one."""

import argparse
import datetime
import json
import pickle
from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import nn

from lskd.data.sources import load_source
from lskd.errors import UserError
from lskd.io.seal import file_digest
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.results import Results
from lskd.models.resnet_cifar import resnet8
from lskd.models.timm_models import timm_model
from lskd.models.torchvision_models import torchvision_model
from lskd.study.config import Data, Model, Supervision
from lskd.study.runs import Checkpoint, Run
from lskd.training.loop import Training
from lskd.training.start import begin_with, read_checkpoint, renamed
from tests import small

CPU = torch.device("cpu")


def network(classes: int = 3, width: int = 4, channels: int = 1) -> nn.Module:
    return resnet8(classes, (channels, 8, 8), width=width)


def tensors(**options) -> dict[str, torch.Tensor]:
    torch.manual_seed(7)
    return network(**options).state_dict()


def equal(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def saved(path: Path, content, **options) -> Path:
    torch.save(content, path, **options)
    return path


def read(path: Path) -> dict[str, torch.Tensor]:
    return read_checkpoint(path, file_digest(path))


@pytest.mark.parametrize("name", ["x.pt", "x.pth", "x.ckpt", "x.bin", "x.safetensors"])
def test_a_state_dict_is_read_whatever_its_file(tmp_path, name):
    path = tmp_path / name
    if path.suffix == ".safetensors":
        save_file(tensors(), path)
    else:
        saved(path, tensors())
    assert equal(read(path), tensors())


@pytest.mark.parametrize(
    "content",
    [
        {"state_dict": tensors(), "epoch": 3},
        {"model_state_dict": tensors(), "optimizer": {"lr": 0.1}, "loss": 0.3},
        {"model": tensors()},
        {"net": tensors(), "acc": 0.5},
        {"state_dict_ema": tensors(), "arch": "resnet8"},
        {"model": {"state_dict": tensors()}},
    ],
)
def test_a_state_dict_is_read_from_what_trainers_save(tmp_path, content):
    assert equal(read(saved(tmp_path / "x.pt", content)), tensors())


class Own:
    """What only its writer's code can read."""


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (network(), "no state dict that loads with weights_only"),
        (Own(), "no state dict that loads with weights_only"),
        ([1, 2], "holds list, no state dict"),
        ({}, "holds , no state dict"),
        ({"epoch": 3, "optimizer": {}}, "holds epoch, optimizer, no state dict"),
        (tensors() | {"epoch": 3}, "no state dict"),
        ({"state_dict": {"a": 1}}, "holds a, no state dict"),
        (torch.zeros(3), "holds Tensor, no state dict"),
    ],
)
@pytest.mark.parametrize("is_legacy", [False, True])
def test_what_is_no_state_dict_is_one_line(tmp_path, content, said, is_legacy):
    path = saved(tmp_path / "x.pt", content, _use_new_zipfile_serialization=not is_legacy)
    with pytest.raises(UserError, match=said) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "torch.save(model.state_dict(), PATH)" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_legacy_file_of_a_state_dict_is_read(tmp_path):
    path = saved(tmp_path / "x.pt", tensors(), _use_new_zipfile_serialization=False)
    assert equal(read(path), tensors())


def test_no_code_in_a_checkpoint_is_run(tmp_path):
    class Harmful:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"state_dict": Harmful()}, tmp_path / "x.pt")
    (tmp_path / "y.pt").write_bytes(pickle.dumps(Harmful()))
    for name in ("x.pt", "y.pt"):
        with pytest.raises(UserError, match="no state dict that loads with weights_only"):
            read(tmp_path / name)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["x.pt", "x.safetensors"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: b"",
        lambda content: b"garbage, and no file of weights",
        lambda content: b"\x80\x04" + bytes(range(256)),
        lambda content: content[: len(content) // 2],
        lambda content: content[:-10],
        lambda content: b"\xff" * 100 + content[100:],
        lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
    ],
)
def test_garbage_and_what_is_cut_short_is_one_line(tmp_path, name, damage):
    path = tmp_path / name
    if path.suffix == ".pt":
        saved(path, tensors())
    else:
        save_file(tensors(), path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(UserError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_a_file_that_changed_or_is_gone_since_planning_is_one_line(tmp_path):
    path = saved(tmp_path / "x.pt", tensors())
    digest = file_digest(path)
    saved(path, {name: tensor * 2 for name, tensor in tensors().items()})
    with pytest.raises(UserError, match=r"x\.pt: the checkpoint changed since this job was planned; run again"):
        read_checkpoint(path, digest)
    path.unlink()
    with pytest.raises(UserError, match=r"x\.pt: cannot be read"):
        read_checkpoint(path, digest)


@pytest.mark.parametrize(
    "before", ["module.", "_orig_mod.", "model.", "module._orig_mod.", "_orig_mod.module.", "model._orig_mod."]
)
def test_the_prefixes_of_wrappers_are_taken_off(before):
    wrapped = {f"{before}{name}": tensor for name, tensor in tensors().items()}
    assert equal(renamed(wrapped, {}, network()), tensors())


def test_the_names_of_data_parallel_compiled_and_lightning_models():
    """As these write them."""
    net = network()
    expected = net.state_dict()
    assert equal(renamed(nn.DataParallel(net).state_dict(), {}, network()), expected)
    compiled = torch.compile(net)
    assert set(compiled.state_dict()) != set(expected)
    assert equal(renamed(compiled.state_dict(), {}, network()), expected)
    lightning = nn.Module()
    lightning.model = net
    assert equal(renamed(lightning.state_dict(), {}, network()), expected)


def test_a_prefix_of_some_names_alone_is_part_of_them():
    names = {"model.a": torch.zeros(1), "head": torch.zeros(1)}
    assert renamed(names, {}, network()) == names


def test_a_key_map_renames_by_groups_one_pattern_after_the_other_and_drops_what_becomes_empty():
    other = {name.replace("stages.", "layer_").replace("head.", "fc."): each for name, each in tensors().items()}
    other["projector.weight"] = torch.zeros(3)
    keys = {r"^layer_(\d+)\.": r"block\1.", r"^block(\d)": r"stages.\1", "^fc": "head", "^projector.*": ""}
    assert equal(renamed(other, keys, network()), tensors())


def test_a_key_map_is_applied_to_names_without_wrappers():
    wrapped = {f"module.{name.replace('head.', 'fc.')}": tensor for name, tensor in tensors().items()}
    assert equal(renamed(wrapped, {"^fc": "head"}, network()), tensors())


def test_all_weights_are_taken_and_counters_may_be_missing(tmp_path):
    net, given = network(), tensors()
    begin_with(net, given, "keep", tmp_path)
    assert equal(net.state_dict(), given)
    counters = [name for name in given if name.endswith("num_batches_tracked")]
    assert counters
    other = network()
    begin_with(other, {name: each for name, each in given.items() if name not in counters}, "keep", tmp_path)
    assert equal(other.state_dict(), given)


def test_a_new_head_keeps_the_networks_own(tmp_path):
    net = network(classes=5)
    fresh = {name: tensor.clone() for name, tensor in net.state_dict().items() if name.startswith("head.")}
    begin_with(net, tensors(), "new", tmp_path)
    weights = net.state_dict()
    assert equal({name: weights[name] for name in fresh}, fresh)
    rest = {name: tensor for name, tensor in tensors().items() if not name.startswith("head.")}
    assert equal({name: weights[name] for name in rest}, rest)
    headless = network(classes=5)
    begin_with(headless, rest, "new", tmp_path)  # a file without any head, too
    assert equal({name: headless.state_dict()[name] for name in rest}, rest)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda given: {**given, "extra.weight": torch.zeros(1)}, "none missing, extra.weight unknown"),
        (lambda given: {n: t for n, t in given.items() if n != "head.bias"}, "head.bias missing, none unknown"),
        (
            lambda given: {f"x.{n}": t for n, t in given.items()},
            r"head\.bias, .* and \d+ more missing, x\.head.* more unknown",
        ),
        (lambda given: {}, r"head\.bias, .* and \d+ more missing, none unknown"),
    ],
)
def test_other_names_are_one_line(tmp_path, change, said):
    with pytest.raises(UserError, match=f"its names are not the model's: {said}; name the model that was trained, or"):
        begin_with(network(), change(tensors()), "keep", tmp_path / "x.pt")


def test_other_shapes_and_another_number_of_classes_are_one_line(tmp_path):
    with pytest.raises(
        UserError, match=r"has shape \(.*\), the model with these classes and images \(.*\); name the m"
    ):
        begin_with(network(), tensors(width=8), "keep", tmp_path)
    with pytest.raises(UserError, match=r"\(4, 1, 3, 3\).*\(4, 3, 3, 3\); name the model that was trained"):
        begin_with(network(channels=3), tensors(), "keep", tmp_path)
    with pytest.raises(UserError, match=r"head\..* has shape \(5.*\(3.*; start\.head: new, with a recipe, trains that"):
        begin_with(network(), tensors(classes=5), "keep", tmp_path)


def library_models():
    options = {"weights": None, "num_classes": 3}
    yield "resnet18", torchvision.models.get_model("resnet18", **options), torchvision_model(3, (3, 32, 32), "resnet18")
    yield (
        "mobilenet_v2",
        torchvision.models.get_model("mobilenet_v2", **options),
        torchvision_model(3, (3, 32, 32), "mobilenet_v2"),
    )
    yield "timm", timm.create_model("resnet10t", num_classes=3), timm_model(3, (3, 32, 32), "resnet10t")


@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_librarys_state_dict_gives_the_librarys_logits(tmp_path, prefix):
    images_nchw = torch.randn(4, 3, 32, 32)
    for name, plain, wrapped in library_models():
        with torch.no_grad():  # statistics of its own, as a trained one has
            plain.train()(torch.randn(16, 3, 32, 32))
        own = {f"{prefix}{key}": tensor for key, tensor in plain.state_dict().items()}
        path = saved(tmp_path / f"{name}.pt", {"state_dict": own})
        begin_with(wrapped, renamed(read(path), {}, wrapped), "keep", path)
        with torch.no_grad():
            assert torch.equal(wrapped.eval()(images_nchw), plain.eval()(images_nchw)), name


def test_lskds_own_file_of_a_librarys_network_is_read(tmp_path):
    for name, _, wrapped in library_models():
        weights = {key: tensor + 1 for key, tensor in wrapped.state_dict().items()}
        path = tmp_path / f"{name}.safetensors"
        save_file(weights, path)
        assert equal(renamed(read(path), {}, wrapped), weights)


def test_a_librarys_head_for_other_classes_can_be_new(tmp_path):
    plain = torchvision.models.get_model("resnet18", weights=None, num_classes=1000)
    wrapped = torchvision_model(3, (3, 32, 32), "resnet18")
    given = renamed(plain.state_dict(), {}, wrapped)
    with pytest.raises(UserError, match=r"head\.(bias|weight) has shape \(1000.*start\.head: new"):
        begin_with(wrapped, given, "keep", tmp_path)
    begin_with(wrapped, given, "new", tmp_path)
    assert torch.equal(wrapped.state_dict()["body.layer4.1.conv2.weight"], plain.layer4[1].conv2.weight)


class Given:
    """A run of a checkpoint, and the folders of the jobs around it."""

    def __init__(self, root: Path, content, head: str = "keep", keys: dict[str, str] | None = None):
        self.root, self.path = root, saved(root / "own.pt", content)
        self.data = small.prepared(root)
        self.catalogue = Catalogue({}, Results(root / "results"))
        checkpoint = Checkpoint(str(self.path), keys or {}, head)
        model = Model(name="resnet8", width=4)
        self.run = Run(Data(), model, "given", None, Supervision(), 0, checkpoint=checkpoint)

    def make(self) -> Path:
        work = small.work(self.catalogue.train(self.run), self.root, {"data": self.data})
        work.place = self.path
        return small.run(work, "train")

    def further(self, head: str = "keep", **fields) -> tuple[Run, Path]:
        """A training that begins with the checkpoint, and its folder."""
        recipe = small.recipe(**fields)
        run = Run(Data(), self.run.model, "short", recipe, Supervision(), 0, start=self.run, start_head=head)
        work = small.work(self.catalogue.train(run), self.root, {"data": self.data, "start": self.make()})
        return run, small.run(work, "train")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> dict[str, torch.Tensor]:
    """The weights of a network that tells the classes apart."""
    root = tmp_path_factory.mktemp("trained")
    run = small.teacher(epochs=20, lr=0.1)
    return load_file(small.trained(run, root, small.prepared(root)) / "model.safetensors")


def test_a_run_of_a_checkpoint_has_its_weights_and_the_files_of_a_training(tmp_path, trained, capsys):
    given = Given(tmp_path, {"state_dict": {f"module.{name}": tensor for name, tensor in trained.items()}})
    folder = given.make()
    for name in ("model", "best"):
        assert equal(load_file(folder / f"{name}.safetensors"), trained)
    assert load_file(folder / "snapshots.safetensors") == {}
    (row,) = [json.loads(line) for line in (folder / "history.jsonl").read_text().splitlines()]
    net = network()
    net.load_state_dict(trained)
    val = load_source(given.data / "data.safetensors", "val", CPU)
    (batch,) = val.batches([torch.arange(15)])
    with torch.no_grad():
        logits_nk = net.eval()(batch.inputs)
    assert row["val_top1"] == pytest.approx((logits_nk.argmax(1) == batch.targets).float().mean().item())
    assert row["val_loss"] == pytest.approx(nn.functional.cross_entropy(logits_nk, batch.targets).item(), rel=1e-5)
    assert (row["epoch"], row["step"], row["train_loss"]) == (0, 0, None)
    assert "chance" not in capsys.readouterr().err


def test_a_checkpoint_that_is_no_better_than_chance_is_warned_of(tmp_path, capsys):
    Given(tmp_path, {name: tensor * 0 for name, tensor in tensors().items()}).make()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert f"{tmp_path / 'own.pt'}: right on 33.3% of val, about chance for 3 classes" in line


def test_a_key_map_of_the_config_is_used(tmp_path, trained):
    given = Given(
        tmp_path, {name.replace("head.", "fc."): each for name, each in trained.items()}, keys={"^fc": "head"}
    )
    assert equal(load_file(given.make() / "model.safetensors"), trained)


def test_the_content_of_a_checkpoint_is_in_the_spec_and_its_place_is_not(tmp_path, trained):
    one = Given(tmp_path, trained)
    job = one.catalogue.train(one.run)
    assert job.spec["checkpoint"] == {"digest": file_digest(one.path), "keys": {}, "head": "keep"}
    assert job.place == str(one.path) and str(tmp_path) not in json.dumps(job.spec)
    (tmp_path / "other").mkdir()
    elsewhere, changed = Given(tmp_path / "other", trained), None
    elsewhere.path.write_bytes(one.path.read_bytes())
    assert elsewhere.catalogue.train(elsewhere.run).spec == job.spec
    saved(one.path, {name: tensor * 2 for name, tensor in trained.items()})
    changed = Catalogue({}, Results(tmp_path / "results")).train(one.run)
    assert changed.address != job.address


def test_a_checkpoint_that_is_not_there_is_told_while_planning(tmp_path, trained):
    given = Given(tmp_path, trained)
    given.path.unlink()
    with pytest.raises(UserError, match=r"start\.checkpoint: found .*own\.pt', which cannot be read"):
        given.catalogue.train(given.run)


def test_a_training_begins_with_the_weights_of_its_start(tmp_path, trained):
    run, folder = Given(tmp_path, trained).further(snapshot_epochs=[0])
    before = load_file(folder / "snapshots.safetensors")
    assert equal({name.removeprefix("0/"): tensor for name, tensor in before.items()}, trained)
    assert run.spec["start"] == {"weights": "model.safetensors", "head": "keep"}
    assert not equal(load_file(folder / "model.safetensors"), trained)


def test_a_training_with_a_new_head_begins_with_all_else(tmp_path, trained):
    _, folder = Given(tmp_path, trained).further("new", snapshot_epochs=[0])
    before = {name.removeprefix("0/"): each for name, each in load_file(folder / "snapshots.safetensors").items()}
    torch.manual_seed(0)
    fresh = network().state_dict()
    for name, tensor in before.items():
        assert torch.equal(tensor, fresh[name] if name.startswith("head.") else trained[name])


def test_a_checkpoint_with_other_classes_gets_a_new_head_of_its_seed(tmp_path):
    given = Given(tmp_path, tensors(classes=5), head="new")
    weights = load_file(given.make() / "model.safetensors")
    torch.manual_seed(0)
    fresh = network().state_dict()
    for name, tensor in weights.items():
        assert torch.equal(tensor, fresh[name] if name.startswith("head.") else tensors(classes=5)[name])


def test_a_training_after_another_run_is_exact_when_resumed(tmp_path, trained, monkeypatch):
    given = Given(tmp_path, trained)
    run, whole = given.further()
    work = small.work(given.catalogue.train(run), tmp_path / "broken", {"data": given.data, "start": given.make()})
    work.runtime = work.runtime.model_copy(update={"checkpoint_minutes": 1e-6})
    with monkeypatch.context() as patch:
        patch.setattr(Training, "write", lambda self: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            small.run(work, "train")
    again = small.run(work, "train")
    assert (again / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


def test_damaged_weights_of_a_start_are_told(tmp_path, trained):
    given = Given(tmp_path, trained)
    run, _ = given.further()
    start = given.make()
    small.flip(start / "model.safetensors")
    work = small.work(given.catalogue.train(run), tmp_path / "again", {"data": given.data, "start": start})
    with pytest.raises(UserError, match=r"model\.safetensors: damaged, .*; make it anew"):
        small.run(work, "train")


def test_the_arguments_that_training_scripts_save_too_are_read_and_other_objects_are_not(tmp_path):
    weights = {"head.weight": torch.ones(2, 3)}
    torch.save({"model": weights, "args": argparse.Namespace(lr=0.1)}, tmp_path / "script.pt")
    read = read_checkpoint(tmp_path / "script.pt", file_digest(tmp_path / "script.pt"))
    assert torch.equal(read["head.weight"], weights["head.weight"])
    torch.save({"model": weights, "when": datetime.date(2026, 1, 1)}, tmp_path / "object.pt")
    with pytest.raises(UserError, match="no state dict that loads with weights_only"):
        read_checkpoint(tmp_path / "object.pt", file_digest(tmp_path / "object.pt"))


def test_opcodes_that_go_wrong_within_torch_are_one_line(tmp_path):
    circle: dict = {}
    circle["model"] = circle
    torch.save(circle, tmp_path / "circle.pt")
    for name, content in (("pop", b"0."), ("get", b"h."), ("none", pickle.dumps({"a": 1}) * 3)):
        (tmp_path / f"{name}.pt").write_bytes(content)
    for path in tmp_path.iterdir():
        with pytest.raises(UserError, match="no state dict") as caught:
            read(path)
        assert "\n" not in str(caught.value)
