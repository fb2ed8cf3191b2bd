"""The clauses of the VirtualMachine page as scenarios; `docs/clauses.md` lists which is where."""
