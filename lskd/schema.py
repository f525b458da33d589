"""Write workflow/schemas/config.schema.json from lskd/config.py: `make schema`."""

from pathlib import Path

from lskd import config
from lskd.files import write_json

PATH = Path(__file__).resolve().parent.parent / "workflow" / "schemas" / "config.schema.json"

if __name__ == "__main__":
    write_json(PATH, config.schema())
