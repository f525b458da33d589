"""Write report.html if a figure is newer than it, and name what the study made."""

import subprocess
import sys
from pathlib import Path

REPORT = Path("report.html")


def main() -> None:
    """Make the report of the default study beside its figures; print where they are."""
    pictures = sorted(Path("results/figures").rglob("*.png"))
    newest = max((picture.stat().st_mtime for picture in pictures), default=0.0)
    if not REPORT.exists() or REPORT.stat().st_mtime < newest:
        command = [str(Path(sys.executable).with_name("snakemake")), "--report", str(REPORT), "--quiet", "all"]
        if code := subprocess.run(command).returncode:
            sys.exit(code)
    print("Figures, each with its numbers (.csv) and a table to sort and filter (.html) beside it:")
    for picture in pictures:
        print(f"  {picture}")
    print(f"Report: {REPORT}")


if __name__ == "__main__":
    main()
