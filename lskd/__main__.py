"""`python -m lskd COMMAND`."""

from lskd.cli import main

main()
