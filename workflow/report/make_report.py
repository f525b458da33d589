"""Write report.html if a figure is newer than it, and name what the study made."""

import shlex
import subprocess
import sys
from pathlib import Path

REPORT = Path("report.html")


def main(args: list[str]) -> None:
    """Make the report of what `snakemake` with these arguments made; print where its figures are."""
    pictures = sorted(Path("results/figures").rglob("*.png"))
    newest = max((picture.stat().st_mtime for picture in pictures), default=0.0)
    if not REPORT.exists() or REPORT.stat().st_mtime < newest:
        command = [str(Path(sys.executable).with_name("snakemake")), *args, "--report", str(REPORT), "--quiet", "all"]
        if subprocess.run(command).returncode:
            sys.exit(f"error: no report was made; {shlex.join(command[:-2])} says why")
    print("Figures, each with its numbers (.csv) and a table to sort and filter (.html) beside it:")
    for picture in pictures:
        print(f"  {picture}")
    print(f"Report: {REPORT}")


if __name__ == "__main__":
    main(sys.argv[1:])
