"""A user's own pictures, by name. Standard library only, for planning imports it."""

from pathlib import Path

_SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm"}


def pictures(folder: Path) -> list[Path]:
    """List the pictures in `folder` and its subfolders, sorted by path; hidden files are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES and path.is_file())
    return sorted(path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts))
