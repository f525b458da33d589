"""The bytes that docs/store.md states are those of files that the store writes."""

from pathlib import Path

from workflow.bench.grid_bytes import CLASSES, forms, grid, table

PAGE = (Path(__file__).parents[2] / "docs/store.md").read_text()


def test_the_page_has_the_table():
    assert "\n".join(table(grid())) in PAGE


def test_bytes_are_those_of_the_values_and_little_else():
    sizes = grid()
    assert sizes.samples == 1_255_544 and (sizes.teachers, sizes.epochs, len(sizes.temperatures)) == (6, 200, 4)
    values = {
        "every epoch's draw, float32": 4 * CLASSES,
        "every epoch's draw, float16": 2 * CLASSES,
        "top 100 and the tail, float16": 100 * (2 + 4) + 4 * 4,
        "top 10 and the tail, float16": 10 * (2 + 4) + 4 * 4,
        "four draws in turn, float16": 2 * CLASSES,
        "the clean image alone, float16": 2 * CLASSES,
    }
    for name, (each, _) in forms(sizes).items():
        assert values[name] + 8 <= each < values[name] + 20, name  # sample and label, int32; the footer
