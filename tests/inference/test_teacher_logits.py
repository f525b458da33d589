"""A teacher's stored logits against direct forward passes."""

import numpy as np
import pytest

from lskd.errors import UserError
from lskd.io.store import open_logits
from tests import small
from tests.inference.conftest import RUN, direct


def stored(student, root, data, weights):
    work = small.work(small.CATALOGUE.teacher_logits(student), root, {"data": data, "weights": weights})
    return open_logits(small.run(work, "teacher_logits") / "logits.parquet")


def test_draws_are_those_that_the_student_sees(folders, tmp_path):
    data, weights, _ = folders
    student = small.student(RUN, how={"draws": 3}, crop_padding=1, flip=True)
    file = stored(student, tmp_path, data, weights)
    assert file.draws == (1, 2, 3)
    for draw in file.draws:
        seen = {"crop_padding": 1, "flip": True, "drawn_by": student}
        expected = direct(data, weights / "model.safetensors", "train", draw, **seen)
        np.testing.assert_allclose(file.read_draw(draw)[2], expected, rtol=1e-5, atol=1e-5)
    assert not np.allclose(file.read_draw(1)[2], file.read_draw(2)[2])


def test_the_clean_image_in_half_precision(folders, tmp_path):
    data, weights, _ = folders
    student = small.student(RUN, how={"draws": 1, "dtype": "float16"}, crop_padding=1)
    file = stored(student, tmp_path, data, weights)
    assert (file.draws, file.dtype) == ((0,), "float16")
    np.testing.assert_array_equal(
        file.read_draw(0)[2], direct(data, weights / "model.safetensors", "train", 0).astype(np.float16)
    )


def test_the_file_says_what_it_is(folders, tmp_path):
    data, weights, _ = folders
    job = small.CATALOGUE.teacher_logits(small.student(RUN))
    assert stored(small.student(RUN), tmp_path, data, weights).metadata == {
        "title": job.title,
        "address": job.address,
        "spec": job.spec,
    }
    assert job.title == f"{RUN.title}/clean-float32"


def test_a_logit_beyond_float16_is_one_line(folders, tmp_path):
    data, weights, _ = folders
    student = small.student(RUN, how={"dtype": "float16"})
    work = small.work(small.CATALOGUE.teacher_logits(student), tmp_path, {"data": data, "weights": weights})
    build = work.functions["model"]

    def huge(*arguments, **options):
        network = build(*arguments, **options)
        network.register_forward_hook(lambda module, given, logits_nk: logits_nk * 1e6)
        return network

    work.functions["model"] = huge
    with pytest.raises(UserError, match=r"logits\.parquet: a value of size .* is beyond float16.*; set dtype: float32"):
        work.functions["run"](work)
    assert not list(work.folder.iterdir())
