"""The version, here and nowhere else: pyproject.toml and every record read it."""

VERSION = "0.2.0"
