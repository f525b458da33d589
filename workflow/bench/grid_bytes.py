"""What the stores of a teacher's logits of the ImageNet grid take, by form: `python workflow/bench/grid_bytes.py`.

Bytes a sample are those of a file that the store writes of random logits; the grid's numbers come from
workflow/studies/chandrasegaran2022.yaml at paper scale. Prints a Markdown table, GB = 10^9 bytes.

N samples, K classes, k listed of each, D temperatures.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lskd.io.store import write_logits, write_top_k
from lskd.study import reading

STUDY = Path(__file__).resolve().parents[1] / "studies/chandrasegaran2022.yaml"
IMAGES, CLASSES = 1_281_167, 1000
ROWS = 8192  # of which a file is written; a draw of the grid has 150 times as many


class Grid(NamedTuple):
    """Sizes of the grid: samples of train, teachers, epochs of a student and the temperatures."""

    samples: int
    teachers: int
    epochs: int
    temperatures: list[float]


def grid() -> Grid:
    """That of gridA at paper scale, of whose draws one store for each teacher serves all students and T."""
    study = reading.parse(reading.read(STUDY), "paper")
    student, teacher = study.students["student"], study.teachers["teacher"]
    recipe = study.recipes[student.recipe]
    samples = round(IMAGES * (1 - study.data.val_fraction))
    return Grid(samples, len(teacher.label_smoothing) * len(study.seeds), recipe.epochs, student.temperature)


def forms(sizes: Grid) -> dict[str, tuple[float, int]]:
    """Bytes a sample and draw, and the number of draws, by form."""
    epochs, temperatures = sizes.epochs, len(sizes.temperatures)
    full = {dtype: written(lambda path, dtype=dtype: _full(path, dtype)) for dtype in ("float32", "float16")}
    top = {k: written(lambda path, k=k: _top_k(path, k, temperatures)) for k in (10, 100)}
    return {
        "every epoch's draw, float32": (full["float32"], epochs),
        "every epoch's draw, float16": (full["float16"], epochs),
        "top 100 and the tail, float16": (top[100], epochs),
        "top 10 and the tail, float16": (top[10], epochs),
        "four draws in turn, float16": (full["float16"], 4),
        "the clean image alone, float16": (full["float16"], 1),
    }


def written(write: Callable[[Path], None]) -> float:
    """Bytes a sample of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "logits.parquet"
        write(path)
        return path.stat().st_size / ROWS


def _full(path: Path, dtype: str) -> None:
    rows = np.arange(ROWS)
    write_logits(path, [(0, rows, rows, np.zeros((ROWS, CLASSES), dtype))], CLASSES, dtype, {})


def _top_k(path: Path, k: int, temperatures: int) -> None:
    rows = np.arange(ROWS)
    listed_nk, tail_nd = np.zeros((ROWS, k), np.int32), np.zeros((ROWS, temperatures), np.float32)
    draws = [(0, rows, rows, listed_nk, tail_nd, np.zeros((ROWS, k), np.float16))]
    write_top_k(path, draws, k, temperatures, "float16", {})


def table(sizes: Grid) -> Iterator[str]:
    """The lines of the table."""
    yield "| store | bytes a sample and draw | draws | one teacher, GB | the grid, GB |"
    yield "| :-- | --: | --: | --: | --: |"
    for name, (each, draws) in forms(sizes).items():
        teacher = each * draws * sizes.samples / 1e9
        yield f"| {name} | {each:,.0f} | {draws} | {teacher:,.1f} | {teacher * sizes.teachers:,.0f} |"


if __name__ == "__main__":
    print(f"# {grid()}")
    print("\n".join(table(grid())))
