"""A teacher of larger images than its student's: it sees the same pixels, online and stored, in memory and streamed."""

from pathlib import Path

import pytest
import torch

from lskd.errors import UserError
from lskd.jobs.catalogue import Catalogue
from lskd.jobs.results import Results
from lskd.study.config import Data, Model, Supervision
from lskd.study.runs import Run
from lskd.training.schedules import epoch_batches
from tests import small
from tests.training.taught import AUGMENTED, Noted, learn, store

SHAPE = (3, 8, 8)


class TwoSizes:
    """A data set of 8 x 8 pixels for students, and of 16 x 16 for their teacher, each pixel of the one four."""

    def __init__(self, root: Path):
        self.root, self.catalogue = root, Catalogue({}, Results(root / "results"))
        tensors = small.noisy(109, SHAPE)
        larger = {name: doubled(each) if name.endswith("images") else each for name, each in tensors.items()}
        for name in small.CLASSES:  # planning looks at a folder of images; what is read stands below
            (root / "birds" / name).mkdir(parents=True)
            for i in range(3):
                (root / "birds" / name / f"{i}.png").write_bytes(small.png(tensors["train_images"][i]))
        self.data, self.teacher_data = self.stored(tensors), self.stored(larger)
        self.teacher = self.teacher_of()
        work = small.work(self.catalogue.train(self.teacher), root, {"data": self.teacher_data[False]})
        self.weights = small.run(work, "train")

    def stored(self, tensors) -> dict[bool, Path]:
        """The folders of data jobs of these images: in memory, and streamed (True)."""
        shape = tensors["train_images"].shape[1:]
        images = {split: [small.png(each) for each in tensors[f"{split}_images"]] for split in ("train", "val", "test")}
        labels = {name: each for name, each in tensors.items() if name.endswith("labels")}
        folders = {is_streamed: self.root / f"data-{shape[1]:08}0{is_streamed:d}" for is_streamed in (False, True)}
        small.stored(folders[False], tensors, shape, tensors["train_images"])
        small.stored(folders[True], labels, shape, tensors["train_images"], images)
        return folders

    def data_of(self, image_size: int, is_streamed: bool) -> Data:
        keys = {"dataset": "imagefolder", "root": str(self.root / "birds"), "name": f"birds{image_size}"}
        return Data(**keys, image_size=image_size, stream=is_streamed)

    def teacher_of(self, is_streamed: bool = False) -> Run:
        supervision, model = Supervision(label_smoothing=0.1), Model(name="resnet8", width=4)
        return Run(self.data_of(16, is_streamed), model, "short", small.recipe(), supervision, 0)

    def student(self, draws, streamed=(False, False), **fields) -> Run:
        """A student; `streamed` tells whether its images and whether its teacher's are."""
        recipe = small.recipe(**{"epochs": 4} | AUGMENTED | fields)
        supervision, model = Supervision(way="kd", temperature=2.0, draws=draws), Model(name="resnet8", width=2)
        teacher = self.teacher_of(streamed[1]) if streamed[1] else self.teacher
        return Run(self.data_of(8, streamed[0]), model, "short", recipe, supervision, 0, teacher)

    def learn(self, run: Run, batches=None) -> Noted:
        own, teachers = self.data[run.data.stream], self.teacher_data[run.teacher.data.stream]
        if run.supervision.draws == "online":
            return learn(run, self.root, own, self.weights, self.catalogue, **{"teacher data": teachers})
        folder = store(run, self.root, teachers, self.weights, batches, self.catalogue)
        return learn(run, self.root, own, folder, self.catalogue)


def doubled(images_nchw):
    return images_nchw.repeat(2, 2).repeat(2, 3)


@pytest.fixture(scope="module")
def two_sizes(tmp_path_factory):
    return TwoSizes(tmp_path_factory.mktemp("sizes"))


def test_the_jobs_of_a_teacher_of_larger_images_say_so(two_sizes):
    cached, online = (two_sizes.catalogue.train(two_sizes.student(draws)) for draws in ("epochs", "online"))
    assert set(online.inputs) == {"data", "teacher", "teacher data"}
    assert online.spec["teacher"]["scale"] == 2.0
    assert set(cached.inputs) == {"data", "teacher"}
    stored = cached.inputs["teacher"]
    assert stored.spec["scale"] == 2.0 and stored.title.endswith("draws4-crop1-flip-float32-for-birds8")
    assert stored.inputs["data"] is online.inputs["teacher data"] is not online.inputs["data"]


PARTS = {"resized_crop": [0.2, 1.0, 0.75, 1.3333]}


@pytest.mark.parametrize(
    ("fields", "streamed"),
    [({}, (False, False)), ({"mixup": 0.4}, (False, False)), (PARTS, (False, False)), (PARTS, (True, True))],
)
def test_a_teacher_of_larger_images_sees_the_same_pixels_online_and_stored(two_sizes, fields, streamed):
    cached, online = (two_sizes.student(draws, streamed, **fields) for draws in ("epochs", "online"))

    def batches(draw: int) -> list[torch.Tensor]:
        return epoch_batches(cached.own_seed, draw - 1, 109, cached.recipe.batch_size)

    one, two = two_sizes.learn(cached, batches), two_sizes.learn(online)
    assert all(torch.equal(a, b) for a, b in zip(one.pixels, two.pixels, strict=True))
    assert all(torch.equal(a, b) for a, b in zip(one.taught, two.taught, strict=True))
    assert one.losses == two.losses


@pytest.mark.parametrize("streamed", [(True, False), (False, True), (True, True)])
def test_a_student_and_its_teacher_may_both_stream_or_one_of_them(two_sizes, streamed):
    fields = {"mixup": 0.4, "epochs": 2}
    expected = two_sizes.learn(two_sizes.student("online", **fields))
    for draws in ("online", "epochs"):
        noted = two_sizes.learn(two_sizes.student(draws, streamed, **fields))
        assert all(torch.equal(a, b) for a, b in zip(noted.pixels, expected.pixels, strict=True))
        for mine, theirs in zip(noted.taught, expected.taught, strict=True):
            torch.testing.assert_close(mine, theirs, rtol=1e-5, atol=1e-5)
    assert noted.losses == pytest.approx(expected.losses, rel=1e-5)


def test_a_teacher_of_larger_images_sees_its_students_crop_at_its_own_size(two_sizes):
    """Its pixels are the student's, each four: its crop is the student's, twice as far."""
    run = two_sizes.student("online")
    work = small.work(two_sizes.catalogue.train(run), two_sizes.root / "seen", {})
    folders = two_sizes.data[False], two_sizes.weights, two_sizes.teacher_data[False]
    work.inputs = dict(zip(("data", "teacher", "teacher data"), folders, strict=True))
    seen = []
    build = work.functions["teacher_model"]

    def noting(*arguments, **options):
        network = build(*arguments, **options)
        network.register_forward_pre_hook(lambda module, given: seen.append(given[0].clone()))
        return network

    work.functions["teacher_model"] = noting
    noted = Noted(work)
    small.run(work, "train")
    shown = [images for images in noted.pixels if len(images) != 15]  # 15 are val's
    assert len(seen) == len(shown) > 0
    for larger, images in zip(seen, shown, strict=True):
        assert torch.allclose(larger, images.repeat_interleave(2, 2).repeat_interleave(2, 3), atol=1e-5)


def test_a_teacher_of_other_samples_is_refused(two_sizes, tmp_path):
    tensors = small.noisy(109, (3, 16, 16))
    tensors["train_labels"] = tensors["train_labels"][::-1].copy()
    other = small.stored(tmp_path / "data-0000000016", tensors, (3, 16, 16), tensors["train_images"])
    run = two_sizes.student("online")
    with pytest.raises(UserError, match="labels are not those of the training data"):
        learn(run, tmp_path, two_sizes.data[False], two_sizes.weights, two_sizes.catalogue, **{"teacher data": other})
