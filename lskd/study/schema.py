"""Write workflow/schemas/config.schema.json from lskd/study/config.py: `make schema`."""

from pathlib import Path
from typing import Any

from lskd.io.atomic import write_json
from lskd.study.config import Study

PATH = Path(__file__).resolve().parents[2] / "workflow" / "schemas" / "config.schema.json"


def schema() -> dict[str, Any]:
    """The JSON schema of a config file, made from the sections of lskd/study/config.py."""
    made = Study.model_json_schema()
    made["properties"]["scales"] = {
        "type": "object",
        "description": "what differs at a scale; merged over the rest, null deletes",
        "properties": {scale: {"type": ["object", "null"]} for scale in ("demo", "small", "paper")},
        "additionalProperties": False,
    }
    made["properties"]["pictures"] = {
        "type": ["object", "null"],
        "description": "what differs for a folder of pictures; merged over the rest and the scale, null deletes",
    }
    made["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    return made


if __name__ == "__main__":
    write_json(PATH, schema())
