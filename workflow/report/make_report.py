"""Write report.html if the page of a study is newer than it, and say where everything is."""

import shlex
import subprocess
import sys
from pathlib import Path

REPORT = Path("report.html")


def main(args: list[str]) -> None:
    """Make the report of what `snakemake` with these arguments made; say where the page of each study is, last."""
    pages = sorted(Path("results/figures").glob("*/*/index.html"))
    newest = max((page.stat().st_mtime for page in pages), default=0.0)
    if not REPORT.exists() or REPORT.stat().st_mtime < newest:
        command = [str(Path(sys.executable).with_name("snakemake")), *args, "--report", str(REPORT), "--quiet", "all"]
        if subprocess.run(command, capture_output=True).returncode:
            sys.exit(f"error: no report was made; {shlex.join(command[:-2])} says why")
    print(f"Snakemake's report: {REPORT}")
    for page in pages:
        count = len(list(page.parent.glob("*.png")))
        print(f"{count} figures on one page, each with its numbers and where it came from: {page}")


if __name__ == "__main__":
    main(sys.argv[1:])
