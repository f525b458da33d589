"""Random-resized crops against torchvision's distribution and Pillow's pixels, in memory and decoded."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.stats import ks_2samp, kstest
from torchvision.transforms import RandomResizedCrop

from lskd.data.augment import Augmentation, Draw, Framing
from lskd.data.decode import decode
from lskd.data.resize import resized_parts
from lskd.data.resized_crop import ATTEMPTS, box, frames
from lskd.data.sources import boxes_of, resident
from tests import pixels

IMAGENET, CUB = [0.08, 1.0, 3 / 4, 4 / 3], [0.2, 1.0, 0.8, 1.25]
SAMPLES = 2000


def boxes(limits, width, height, draw=1, samples=SAMPLES):
    return np.array([frame(width, height) for frame in frames(Draw(7, torch.arange(samples), draw), limits)])


@pytest.mark.parametrize(
    ("limits", "width", "height"),
    [
        (IMAGENET, 500, 375),
        (IMAGENET, 64, 64),
        (CUB, 30, 200),
        ([0.9, 1.0, 2.0, 3.0], 64, 40),
        ([0.9, 1.0, 0.2, 0.3], 300, 100),
    ],
)
def test_boxes_are_distributed_as_torchvisions(limits, width, height):
    mine = boxes(limits, width, height)
    torch.manual_seed(0)
    given = [RandomResizedCrop.get_params(torch.empty(3, height, width), limits[:2], limits[2:]) for _ in mine]
    theirs = np.array([(left, top, left + across, top + down) for top, left, down, across in given])
    assert (mine[:, :2] >= 0).all() and (mine[:, 2:] <= (width, height)).all() and (mine[:, 2:] > mine[:, :2]).all()
    for measure in (
        lambda box_n4: (box_n4[:, 2] - box_n4[:, 0]) * (box_n4[:, 3] - box_n4[:, 1]),
        lambda box_n4: (box_n4[:, 2] - box_n4[:, 0]) / (box_n4[:, 3] - box_n4[:, 1]),
        *(lambda box_n4, place=place: box_n4[:, place] for place in range(4)),
    ):
        assert ks_2samp(measure(mine), measure(theirs)).pvalue > 1e-4


def test_area_and_the_logarithm_of_the_ratio_are_uniform():
    """Where every attempt fits; of a large square, so that whole pixels count for nothing."""
    side = 100_000
    mine = boxes([0.1, 0.6, 0.8, 1.25], side, side).astype(float)
    across, down = mine[:, 2] - mine[:, 0], mine[:, 3] - mine[:, 1]
    assert kstest(across * down / side**2, "uniform", (0.1, 0.5)).pvalue > 1e-3
    assert kstest(np.log(across / down), "uniform", (np.log(0.8), np.log(1.25 / 0.8))).pvalue > 1e-3
    for first, length in ((mine[:, 0], across), (mine[:, 1], down)):
        assert kstest(first / (side - length), "uniform").pvalue > 1e-3


def test_a_box_is_a_function_of_key_sample_and_draw():
    def halves(bits):
        return [(bits >> 32) / 2**32, (bits & (2**32 - 1)) / 2**32]

    for sample, draw in ((0, 1), (5, 1), (5, 300)):
        streams = ["resized_crop", *(f"resized_crop {attempt}" for attempt in range(ATTEMPTS))]
        numbers = [halves(pixels.bits(7, sample, draw, stream)) for stream in streams]
        (frame,) = frames(Draw(7, torch.tensor([sample]), draw), IMAGENET)
        assert frame(500, 375) == box(numbers, IMAGENET, 500, 375)
    assert len(set(map(tuple, boxes(IMAGENET, 500, 375, samples=50).tolist()))) == 50
    assert (boxes(IMAGENET, 500, 375, draw=1) != boxes(IMAGENET, 500, 375, draw=2)).any(1).mean() > 0.99


def test_where_no_attempt_fits_it_is_the_largest_part_in_the_middle():
    assert boxes([1.0, 1.0, 3.0, 3.0], 90, 90).tolist() == [[0, 30, 90, 60]] * SAMPLES
    assert boxes([1.0, 1.0, 0.5, 0.5], 90, 90).tolist() == [[22, 0, 67, 90]] * SAMPLES
    assert boxes([1.0, 1.0, 0.5, 2.0], 50, 50, samples=1).tolist() == [[0, 0, 50, 50]]


def by_pillow(image_chw: np.ndarray, part) -> np.ndarray:
    """A part of an image, resized to all of it, channel by channel."""
    height, width = image_chw.shape[1:]
    parts = [Image.fromarray(each).crop(part).resize((width, height), Image.Resampling.BILINEAR) for each in image_chw]
    return np.stack([np.asarray(each) for each in parts])


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 20, 45), (3, 9, 8)])
def test_parts_in_memory_have_pillows_bits(shape):
    draw = np.random.default_rng(0)
    images = draw.integers(0, 256, (40, *shape), dtype=np.uint8)
    left, top = draw.integers(0, shape[2], 40), draw.integers(0, shape[1], 40)
    right, bottom = draw.integers(left + 1, shape[2] + 1), draw.integers(top + 1, shape[1] + 1)
    parts = np.stack([left, top, right, bottom], 1).tolist()
    parts[:2] = [[0, 0, shape[2], shape[1]], [0, 0, 1, 1]]
    expected = np.stack([by_pillow(image, part) for image, part in zip(images, parts, strict=True)])
    assert (resized_parts(torch.from_numpy(images), parts).numpy() == expected).all()
    assert (expected[0] == images[0]).all()


def test_a_decoded_part_is_cropped_and_resized():
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=90)
    with Image.open(file) as image:
        whole = image.convert("RGB")
    for part in ((3, 7, 70, 50), (0, 0, 80, 60), (10, 10, 20, 15)):
        expected = np.asarray(whole.crop(part).resize((24, 24), Image.Resampling.BILINEAR)).transpose(2, 0, 1)
        actual = decode(file.getvalue(), 24, "x", lambda width, height, part=part: part if width > height else None)
        assert (actual == expected).all()


def test_images_in_memory_are_framed():
    images_nchw = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (9, 3, 16, 16), dtype=np.uint8))
    augmentation, ids_n = Augmentation(7, frames=(frames, IMAGENET)), torch.tensor([8, 0, 3])
    (actual,) = resident(images_nchw)([ids_n], augmentation.framing(5))
    for image_chw, sample in zip(actual.numpy(), ids_n.tolist(), strict=True):
        (frame,) = frames(Draw(7, torch.tensor([sample]), 5), IMAGENET)
        assert (image_chw == by_pillow(images_nchw[sample].numpy(), frame(16, 16))).all()
    assert augmentation.framing(0) is None


@pytest.mark.parametrize("scale", [2.0, 0.5, 1.5, 0.3])
def test_at_a_scale_it_is_the_same_part_of_the_image(scale):
    ids_n = torch.arange(200)
    side = round(20 * scale)
    framing = Framing(lambda ids_n: frames(Draw(7, ids_n, 3), IMAGENET), scale)
    base = np.array(boxes_of(Framing(framing.of), ids_n, torch.empty(1, 3, 20, 20)))
    other = np.array(boxes_of(framing, ids_n, torch.empty(1, 3, side, side)))
    assert np.abs(other - base * scale).max() <= 1.0
    assert (other[:, :2] >= 0).all() and (other[:, 2:] <= side).all() and (other[:, 2:] > other[:, :2]).all()
