"""The serve benchmark: see README.md. A package, so that its modules and those of other benchmarks do not mix."""
