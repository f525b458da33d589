import io
import struct
import time
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision.transforms import CenterCrop, Compose, Resize

from lskd.data import decode as module
from lskd.data.decode import EncodedSource, check_memory, decode, decode_noted, made_small
from lskd.errors import UserError

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 24, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def noise(mode: str = "RGB", height: int = 20, width: int = 24) -> Image.Image:
    return Image.fromarray(RNG.integers(0, 256, (height, width, 3), dtype=np.uint8)).convert(mode)


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def png(width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes) -> bytes:
    """A PNG after its specification, of what Pillow itself does not write."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("height", "width"), [(20, 20), (50, 33), (7, 90), (16, 17), (101, 16), (3, 3), (1, 40)])
def test_pixels_are_those_of_torchvision(height, width):
    image = noise(height=height, width=width)
    expected = np.asarray(Compose([Resize(16), CenterCrop(16)])(image)).transpose(2, 0, 1)
    pixels = decode(encoded(image), 16, "x")
    assert pixels.dtype == np.uint8 and pixels.shape == (3, 16, 16) and pixels.flags["C_CONTIGUOUS"]
    assert (pixels == expected).all()


@pytest.mark.parametrize(
    ("content", "note"),
    [
        (encoded(noise()), ""),
        (encoded(noise(), "JPEG"), ""),
        (encoded(noise("L")), "grey"),
        (encoded(noise("1")), "black and white"),
        (encoded(noise("LA")), "grey with alpha"),
        (encoded(noise("RGBA")), "with alpha"),
        (encoded(noise("P")), "palette"),
        (encoded(noise("P"), transparency=3), "palette with transparency"),
        (encoded(noise("P"), transparency=bytes(range(256))), "palette with transparency"),
        (encoded(noise(), transparency=(1, 2, 3)), "with transparency"),
        (encoded(noise("CMYK"), "JPEG"), "CMYK"),
        (encoded(noise(), "GIF"), "palette"),
        (encoded(noise(), "BMP"), ""),
        (encoded(noise(), "PPM"), ""),
        (encoded(noise(), "TIFF"), ""),
        (encoded(noise(), "TIFF", save_all=True, append_images=[noise()]), ""),
        (encoded(noise(), "WEBP", lossless=True), ""),
        (encoded(noise(), "WEBP", lossless=True, save_all=True, append_images=[noise()]), ""),
        (encoded(noise(), save_all=True, append_images=[noise()]), ""),
        (encoded(noise("L"), "PPM"), "grey"),
        (encoded(noise(), "GIF", save_all=True, append_images=[noise(), noise()]), "palette"),
    ],
)
def test_what_was_converted_is_said(content, note):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pixels, said = decode_noted(content, 20, "x")
    assert said == note
    with Image.open(io.BytesIO(content)) as image, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rgb = np.asarray(image.convert("RGB")).transpose(2, 0, 1)
    assert (pixels == rgb[:, :, 2:22]).all()


def test_a_colour_png_of_16_bits_keeps_the_upper_8_and_says_so():
    levels = RNG.integers(0, 1 << 16, (16, 16, 3), dtype=np.uint16)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in levels)
    pixels, note = decode_noted(png(16, 16, 16, 2, rows), 16, "x")
    assert note == "16 bits a channel"
    assert (pixels == (levels >> 8).transpose(2, 0, 1)).all()


JPEG = encoded(noise(height=64, width=64), "JPEG")


@pytest.mark.parametrize(
    ("content", "part"),
    [
        (b"", "does not decode as an image"),
        (b"no image but a text\n" * 40, "does not decode as an image"),
        (JPEG[: len(JPEG) // 2], "does not decode as an image"),
        (JPEG[:30], "does not decode as an image"),
        (encoded(noise())[:-30], "does not decode as an image"),
        (encoded(noise())[:20], "does not decode as an image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "does not decode as an image"),
        (encoded(Image.fromarray(RNG.integers(0, 1 << 16, (20, 20), dtype=np.uint16))), "more than 8 bits a channel"),
        (encoded(Image.fromarray(RNG.random((20, 20), dtype=np.float32)), "TIFF"), "more than 8 bits a channel"),
        (png(1 << 20, 1 << 20, 8, 2, b""), "has too many pixels"),
        (encoded(Image.new("RGB", (1, 60_000))), "1 x 60000 pixels, far from a square"),
    ],
)
def test_hostile_files_end_in_one_line_with_their_name(content, part):
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        decode(content, 64, "my/cat.jpg")
    line = str(caught.value)
    assert line.startswith("my/cat.jpg: ") and part in line and "\n" not in line
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_blocks_come_in_order_whatever_the_threads(workers):
    contents = [encoded(noise()) for _ in range(200)]

    def read(numbers):
        time.sleep(0.01 * (numbers[0] % 3 == 0))
        return [contents[number] for number in numbers]

    source = EncodedSource(read, np.arange(200), Path("root"), 16)[np.arange(200) % 2 == 1]
    blocks = list(source.blocks([str(i) for i in range(100)], workers))
    assert [content for block in blocks for content in block.contents] == contents[1::2]
    expected = np.stack([decode(content, 16, "x") for content in contents[1::2]])
    assert (np.concatenate([block.images for block in blocks]) == expected).all()
    assert len(blocks) > 1


def test_few_blocks_wait_at_a_time(monkeypatch):
    """A large set must not pile up in memory while its blocks are written."""
    monkeypatch.setattr(module, "_BLOCK", 1)
    content, reads = encoded(noise()), []

    def read(numbers):
        reads.extend(numbers)
        return [content for _ in numbers]

    blocks = EncodedSource(read, np.arange(100), Path(), 8).blocks(["x"] * 100, 2)
    next(blocks)
    time.sleep(0.3)
    assert len(reads) <= 6
    blocks.close()


def test_the_file_that_fails_is_named():
    contents = [encoded(noise())] * 130 + [b"text"] + [encoded(noise())] * 20
    source = EncodedSource(lambda numbers: [contents[n] for n in numbers], np.arange(151), Path("root"), 8)
    with pytest.raises(UserError, match="^root/cat/130.png: does not decode"):
        list(source.blocks([f"cat/{i}.png" for i in range(151)], 2))


def test_memory_is_checked(monkeypatch):
    monkeypatch.setattr(module.memory, "available", lambda: 6 * 100 * 32**2)
    check_memory(100, 32)
    with pytest.raises(UserError, match="lower it to 32 or less, or set data.stream: true$"):
        check_memory(100, 33)


def test_no_other_program_is_started_for_an_image(monkeypatch):
    """Pillow has Ghostscript draw what begins as PostScript, whatever the file's name."""
    monkeypatch.setattr("subprocess.Popen.__init__", lambda *given, **options: pytest.fail("a program was started"))
    with pytest.raises(UserError, match="does not decode as an image"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage\n", 8, "cat/1.png")


@pytest.mark.parametrize(("width", "height", "small"), [(90, 60, (48, 32)), (60, 91, (32, 48)), (33, 200, (32, 193))])
def test_a_large_image_is_made_small(width, height, small):
    """As torchvision's Resize, but for what the JPEG costs."""
    steps = np.linspace(0, 255, height)[:, None, None] * [1, 0.5, 0.2] + np.linspace(0, 100, width)[None, :, None]
    image = Image.fromarray(np.clip(steps, 0, 255).astype(np.uint8))
    content, note = made_small(encoded(image), 32, "x")
    with Image.open(io.BytesIO(content)) as stored:
        assert (stored.format, stored.mode, stored.size) == ("JPEG", "RGB", small)
        assert {key: max(table) <= 20 for key, table in stored.quantization.items()} == {0: True, 1: True}  # 95
        pixels = np.asarray(stored).astype(int)
    expected = np.asarray(Resize(32)(image)).astype(int)
    assert note == "" and np.abs(pixels - expected).mean() < 2


def test_what_is_small_enough_stays_to_the_byte():
    for content, note in ((encoded(noise()), ""), (encoded(noise("LA")), "grey with alpha"), (JPEG, "")):
        assert made_small(content, 64, "x") == (content, note)
    assert made_small(encoded(noise("L")), 16, "x")[1] == "grey"
    with pytest.raises(UserError, match="^x: does not decode as an image"):
        made_small(JPEG[:500], 8, "x")


def test_blocks_of_small_images_hold_the_pixels_that_are_left():
    contents = [encoded(noise("L", 40, 50)), encoded(noise(), "JPEG"), encoded(noise("RGBA", 300, 200))]
    source = EncodedSource(lambda numbers: [contents[number] for number in numbers], np.arange(3), Path("root"), 16)
    (block,) = source.blocks(["a", "b", "c"], 1, 24)
    assert block.contents == [made_small(content, 24, "x")[0] for content in contents]
    assert [content == other for content, other in zip(contents, block.contents, strict=True)] == [False, True, False]
    assert (block.images == np.stack([decode(content, 16, "x") for content in block.contents])).all()
    assert block.notes == ["grey", "", "with alpha"]
