"""Tiny copies of published data sets in their true layouts."""

import io
import shutil
from pathlib import Path

import numpy as np
from PIL import Image


def jpeg(level: int, side: int = 12) -> bytes:
    """A grey image of one level, larger than it is high, as JPEG."""
    content = io.BytesIO()
    Image.fromarray(np.full((side, side + 4, 3), level, dtype=np.uint8)).save(content, "jpeg")
    return content.getvalue()


def write(path: Path, content: bytes | str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())


def remove(path: str | Path) -> None:
    path = Path(path)
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def cub200(root: str | Path) -> dict[str, int]:
    """Three birds, five images each; the label of each file, and in "train" and "test" how many images those have."""
    root = Path(root)
    birds = ("001.Black_footed_Albatross", "002.Laysan_Albatross", "003.Common_Tern")
    lists: dict[str, list[str]] = {"images": [], "image_class_labels": [], "train_test_split": []}
    labels = {}
    for number in range(15):
        bird = number % 3
        file = f"{birds[bird]}/{birds[bird][4:]}_{number:04}.jpg"
        write(root / "images" / file, jpeg(80 * bird + number))
        lists["images"].append(f"{number + 1} {file}")
        lists["image_class_labels"].append(f"{number + 1} {bird + 1}")
        lists["train_test_split"].append(f"{number + 1} {int(number % 5 < 3)}")
        labels[f"images/{file}"] = bird
    for name, lines in lists.items():
        write(root / f"{name}.txt", "\n".join(lines) + "\n")
    write(root / "classes.txt", "".join(f"{k + 1} {bird}\n" for k, bird in enumerate(birds)))
    return labels
