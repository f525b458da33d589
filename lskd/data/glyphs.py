"""Letters with their accents, drawn from the typefaces that come with matplotlib: no download, up to 1,000 classes.

Each image is a letter in one of 16 faces, turned, sheared, scaled, shifted, blurred, dimmed and with noise: a function
of (data_seed, split, character, index) alone. All that follows FreeType is integers, or float64 sums, products
and quotients of single numbers, with no library's sine or logarithm, so that all machines make the same bytes.
N images, S x S pixels, C x C of a canvas.
"""

import hashlib
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
from matplotlib.ft2font import FT2Font, LoadFlags

from lskd.data.arrays import Arrays, Samples
from lskd.data.glyph_classes import CHARACTERS, base
from lskd.errors import UserError

DEJAVU = tuple(
    f"DejaVu{family}{style}"
    for family, styles in {
        "Sans": ("", "-Bold", "-Oblique", "-BoldOblique"),
        "SansMono": ("", "-Bold", "-Oblique", "-BoldOblique"),
        "Serif": ("", "-Bold", "-Italic", "-BoldItalic"),
    }.items()
    for style in styles
)
FACES = (*DEJAVU, "STIXGeneral", "STIXGeneralBol", "STIXGeneralItalic", "STIXGeneralBolIta")
EM, CANVAS = 48, 96  # canvas pixels of a face's em, and of a canvas' side
BASELINE, MIDDLE = 66, 49  # from the top: where letters stand, and what images centre on
VIEW = 0.78  # the part of a canvas that an undistorted image shows
FINE = 4  # samples along each side of a pixel, averaged
LETTERS = "c6cb30fd49645da6b8cf73a7895af55665eff4d3e33996a77eaf13fda2397dd3"
"""SHA-256 of the canvases of the first 32 letters, in every face."""

SPLITS = {"train": 0, "test": 1}
TURN, SHEAR = 0.16, 0.2  # half ranges: of the tangent of half the angle, and a ratio
STRETCH, SHIFT = 0.16, 0.09  # half ranges: a ratio, and a part of the side
DIM, NOISE = 0.5, 0.22  # the largest loss of contrast; the largest amplitude of noise, of white


class Drawn(NamedTuple):
    """What is drawn at random for each of N images: 9 numbers in [-1, 1) or [0, 1), and noise [N, S, S] in [-1, 1)."""

    face: np.ndarray
    turn: np.ndarray
    shear: np.ndarray
    stretch: np.ndarray
    squeeze: np.ndarray
    across: np.ndarray
    down: np.ndarray
    blur: np.ndarray
    dim: np.ndarray
    loud: np.ndarray
    noise: np.ndarray


def load(
    root: Path,
    *,
    workers: int,
    classes: int,
    images: int,
    test_images: int,
    pixels: int,
    distortion: float,
    test_faces: int,
    data_seed: int,
) -> Arrays:
    """Draw `images` for training and `test_images` of each of the first `classes` letters (root is not used).

    Of `test_faces` (of the 16, evenly spread) test shows these alone, and training all others; 0: both show all.
    """
    fonts = [_font(face) for face in FACES]
    _check(fonts)
    last = [face for face in range(len(FACES)) if test_faces and (face + 1) * test_faces % len(FACES) < test_faces]
    faces = {"train": [face for face in range(len(FACES)) if face not in last], "test": last or list(range(len(FACES)))}
    parts = {}
    for split, number in {"train": images, "test": test_images}.items():
        drawn = [
            _letter(fonts, faces[split], character, number, pixels, distortion, [data_seed, SPLITS[split]])
            for character in CHARACTERS[:classes]
        ]
        labels_n = np.repeat(np.arange(classes, dtype=np.int64), number)
        names = [f"{character}#{split}-{index}" for character in CHARACTERS[:classes] for index in range(number)]
        parts[split] = Samples(np.concatenate(drawn)[:, None], labels_n, names)
    letters = CHARACTERS[:classes]
    return Arrays(parts["train"], parts["test"], tuple(letters), families=tuple(base(letter) for letter in letters))


def _check(fonts: list[FT2Font]) -> None:
    """Refuse faces, or a FreeType, that draw other letters than those that results are made of."""
    drawn = hashlib.sha256()
    for character in CHARACTERS[:32]:
        for font in fonts:
            drawn.update(_canvas(font, character).tobytes())
    if drawn.hexdigest() != LETTERS:
        raise UserError(
            f"glyphs: matplotlib {matplotlib.__version__} draws other letters than the version that envs/ lock; "
            "install that one"
        )


def _letter(
    fonts: list[FT2Font], faces: list[int], character: str, number: int, pixels: int, distortion: float, seed: list[int]
) -> np.ndarray:
    """The images of one letter, uint8 [N, S, S]."""
    having = [fonts[face] for face in faces if fonts[face].get_char_index(ord(character))]
    canvases = np.stack([_canvas(font, character) for font in having])
    drawn = _draw([*seed, ord(character)], number, pixels)
    return _images(canvases, drawn, pixels, distortion)


def _font(face: str) -> FT2Font:
    font = FT2Font(str(Path(matplotlib.get_data_path(), "fonts", "ttf", f"{face}.ttf")))
    font.set_size(EM, 72)
    return font


def _canvas(font: FT2Font, character: str) -> np.ndarray:
    """A letter on its canvas, uint8 [C, C], the middle of its width in the canvas' middle and its baseline fixed."""
    font.set_text(character, 0, flags=LoadFlags.NO_HINTING)
    font.draw_glyphs_to_bitmap(antialiased=True)
    picture = np.asarray(font.get_image())
    below = -(-font.get_descent() // 64)  # the baseline; FreeType counts in 1/64 of a pixel
    x = max((CANVAS - picture.shape[1]) // 2, 0)
    y = max(BASELINE + below - picture.shape[0], 0)
    canvas = np.zeros((CANVAS, CANVAS), dtype=np.uint8)
    rows, columns = min(picture.shape[0], CANVAS - y), min(picture.shape[1], CANVAS - x)
    canvas[y : y + rows, x : x + columns] = picture[:rows, :columns]
    return canvas


def _draw(seed: list[int], number: int, pixels: int) -> Drawn:
    """A row of draws for each image: image i's do not depend on how many there are."""
    # RandomState, for NumPy promises that its stream never changes
    uniform_nd = np.random.RandomState(seed).random_sample((number, 10 + 4 * pixels**2))
    first_nd, rest_nd = uniform_nd[:, :10], uniform_nd[:, 10:].reshape(number, 4, pixels, pixels)
    # the sum of four uniform draws is nearly normal, and needs no logarithm
    noise = (rest_nd[:, 0] + rest_nd[:, 1] + rest_nd[:, 2] + rest_nd[:, 3] - 2) / 2
    face_n, *both_ways, blur_n, dim_n, loud_n = first_nd.T
    turn, shear, stretch, squeeze, across, down = (2 * draw_n - 1 for draw_n in both_ways)
    return Drawn(face_n, turn, shear, stretch, squeeze, across, down, blur_n, dim_n, loud_n, noise)


def _images(canvases: np.ndarray, drawn: Drawn, pixels: int, distortion: float) -> np.ndarray:
    """The images uint8 [N, S, S] of a letter's canvases, one for each face that has it."""
    face_n = (drawn.face * len(canvases)).astype(np.int64)
    fine_nff = _warped(canvases, face_n, drawn, pixels * FINE, distortion)
    total = fine_nff.reshape(len(face_n), pixels, FINE, pixels, FINE).sum((2, 4), dtype=np.int64)  # of integers: exact
    light = _blurred(total / (255 * FINE**2), drawn.blur * distortion / 4)
    light = light * (1 - DIM * distortion * drawn.dim)[:, None, None]
    light = light + (NOISE * distortion * drawn.loud)[:, None, None] * drawn.noise
    return np.rint(np.clip(light, 0, 1) * 255).astype(np.uint8)


def _warped(canvases: np.ndarray, face_n: np.ndarray, drawn: Drawn, side: int, distortion: float) -> np.ndarray:
    """Each image's canvas seen through its map, uint8 [N, side, side]; outside the canvas it is black."""
    tangent = TURN * distortion * drawn.turn  # of half the angle, from which follow
    cosine, sine = (1 - tangent * tangent) / (1 + tangent * tangent), 2 * tangent / (1 + tangent * tangent)
    wide, high = 1 + STRETCH * distortion * drawn.stretch, 1 + STRETCH * distortion * drawn.squeeze
    shear = SHEAR * distortion * drawn.shear
    place = ((np.arange(side) + 0.5) / side - 0.5) * CANVAS * VIEW
    column, row = place[None, None, :], place[None, :, None]
    x = column - (SHIFT * distortion * CANVAS * VIEW * drawn.across)[:, None, None]
    y = row - (SHIFT * distortion * CANVAS * VIEW * drawn.down)[:, None, None]
    turned_x = cosine[:, None, None] * x + sine[:, None, None] * y
    turned_y = cosine[:, None, None] * y - sine[:, None, None] * x
    source_x = (turned_x + shear[:, None, None] * turned_y) * wide[:, None, None] + CANVAS / 2
    source_y = turned_y * high[:, None, None] + MIDDLE
    columns, rows = np.floor(source_x).astype(np.int64), np.floor(source_y).astype(np.int64)
    is_inside = (columns >= 0) & (columns < CANVAS) & (rows >= 0) & (rows < CANVAS)
    picked = canvases[face_n[:, None, None], np.clip(rows, 0, CANVAS - 1), np.clip(columns, 0, CANVAS - 1)]
    return np.where(is_inside, picked, 0).astype(np.uint8)


def _blurred(light: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Images [N, S, S] with a share [N] of each pixel's light given to each neighbour, along rows, then columns."""
    for axis in (1, 2):
        padding = [(0, 0), (0, 0), (0, 0)]
        padding[axis] = (1, 1)
        wide = np.pad(light, padding)
        side = light.shape[axis]
        before, after = np.take(wide, range(side), axis), np.take(wide, range(2, side + 2), axis)
        light = light * (1 - 2 * share)[:, None, None] + (before + after) * share[:, None, None]
    return light
