"""`python -m vmsim` is the `vmsim` command."""

from vmsim.cli import main

main()
