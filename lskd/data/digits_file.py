"""Where scikit-learn has its digits. Standard library only, for planning imports it."""

from importlib.util import find_spec
from pathlib import Path


def digits_file() -> Path | None:
    """The file, or None without scikit-learn."""
    package = find_spec("sklearn")  # which imports nothing
    if package is None or not package.submodule_search_locations:
        return None
    return Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
