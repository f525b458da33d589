"""Write report.html if a figure is newer than it, and say where everything is."""

import shlex
import subprocess
import sys
from pathlib import Path

REPORT = Path("report.html")


def main(args: list[str]) -> None:
    """Make the report of what `snakemake` with these arguments made; say where its figures are."""
    pictures = sorted(Path("results/figures").rglob("*.png"))
    newest = max((picture.stat().st_mtime for picture in pictures), default=0.0)
    if not REPORT.exists() or REPORT.stat().st_mtime < newest:
        command = [str(Path(sys.executable).with_name("snakemake")), *args, "--report", str(REPORT), "--quiet", "all"]
        if subprocess.run(command, capture_output=True).returncode:
            sys.exit(f"error: no report was made; {shlex.join(command[:-2])} says why")
    for folder in sorted({picture.parent for picture in pictures}):
        count = len(list(folder.glob("*.png")))
        print(f"{count} figures, each with its numbers (.csv) and a table to sort and filter (.html): {folder}/")
    print(f"Report: {REPORT}")


if __name__ == "__main__":
    main(sys.argv[1:])
