"""The benchmark's modules are scripts beside each other; the tests see them as it does."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks" / "compile"))
