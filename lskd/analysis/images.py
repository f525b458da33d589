"""What other test images would change: a bootstrap of seeds x test images from each student's hits.

Seeds and images are drawn anew, each independently and the same images for all cells (Owen 2007, "The pigeonhole
bootstrap"), which errs on the side of wide intervals. Axes: b draws, s seeds, c cells, i images.
"""

from typing import Any

import numpy as np
import pandas as pd

from lskd.analysis.students import Row, Students, records

DRAWS = 2000
AT_ONCE = 100  # draws of images that are in memory together
TAILS = (2.5, 97.5)  # percentiles: the interval of one comparison


def with_intervals(rows: list[Row], correct: pd.DataFrame | None) -> list[Row]:
    """`rows` with low_images and high_images where a row compares test accuracies and hits are known; else NaN.

    `correct` has run, images and correct: the bits of np.packbits over test images, as a hexadecimal text.
    """
    hits = {} if correct is None else {row["run"]: (row["images"], row["correct"]) for row in records(correct)}
    drawn: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    result = []
    for row in rows:
        low, high = np.nan, np.nan
        if hits and "behind" in row and row["split"] == "test":
            students, contrast = row["behind"]
            if id(students) not in drawn:
                drawn[id(students)] = _draws(students, hits)
            accuracy_bsc, weight_bs = drawn[id(students)]
            if accuracy_bsc.size:
                weight_c = np.array([contrast.get(cell, 0.0) for cell in students.cells])
                difference_b = ((accuracy_bsc @ weight_c) * weight_bs).sum(1)
                low, high = np.percentile(difference_b, TAILS)
        result.append(row | {"low_images": float(low), "high_images": float(high)})
    return result


def _draws(students: Students, hits: dict[str, tuple[int, str]]) -> tuple[np.ndarray, np.ndarray]:
    """Accuracies in percent [B, S, C] on drawn images, and the weights [B, S] of drawn seeds; the same at each call.

    Of the seeds that have every cell. Empty where there is none.
    """
    hit_sci = [_hits(students, seed, hits) for seed in students.seeds]
    known_sci = np.array([hit_ci for hit_ci in hit_sci if hit_ci is not None], dtype=np.float32)
    if not known_sci.size:
        return np.zeros((DRAWS, 0, 0)), np.zeros((DRAWS, 0))
    seeds, cells, images = known_sci.shape
    random = np.random.default_rng(0)
    hit_ik = known_sci.reshape(seeds * cells, images).T
    accuracy_bk = np.concatenate([_drawn(random, images) @ hit_ik for _ in range(DRAWS // AT_ONCE)])
    weight_bs = random.multinomial(seeds, np.full(seeds, 1 / seeds), size=DRAWS) / seeds
    return 100 / images * accuracy_bk.reshape(DRAWS, seeds, cells).astype(np.float64), weight_bs


def _hits(students: Students, seed: int, hits: dict[str, tuple[int, str]]) -> list[Any] | None:
    """By cell, the share of a seed's students that are right, by image; None where a cell has no student."""
    by_cell = []
    for cell in students.cells:
        titles = [title for (own, _, of), title in students.titles.items() if (own, of) == (seed, cell)]
        known = [_unpacked(*hits[title]) for title in titles if title in hits]
        if not known:
            return None
        by_cell.append(np.mean(known, axis=0, dtype=np.float32))
    return by_cell


def _unpacked(images: int, text: str) -> np.ndarray:
    return np.unpackbits(np.frombuffer(bytes.fromhex(text), np.uint8), count=int(images))


def _drawn(random: np.random.Generator, images: int) -> np.ndarray:
    """How often each image is drawn [AT_ONCE, I]."""
    place_bi = random.integers(0, images, (AT_ONCE, images)) + images * np.arange(AT_ONCE)[:, None]
    return np.bincount(place_bi.ravel(), minlength=AT_ONCE * images).reshape(AT_ONCE, images).astype(np.float32)
