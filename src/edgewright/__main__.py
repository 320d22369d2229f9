"""``python -m edgewright``: the command line."""

from edgewright.cli import main

if __name__ == "__main__":
    raise SystemExit(main())
