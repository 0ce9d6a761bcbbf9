"""Measure how fast Duanbiao is, beside what it could be and what others are: `make bench`.

    PYTHONPATH=tests python -m bench [--seconds N] [--model FOLDER] [--work FOLDER] [--report FILE]

All is measured in one run, on the first two cores that the process may use; clients run on the
others where there are some. Where other programs run too, figures differ from run to run: what
counts are the ratios within a run.
"""

import argparse
import os
import sys
from pathlib import Path

from bench import machine, report
from bench.apart import ROOT
from bench.run import Run
from bench.tables import markdown
from models import store


def main() -> int:
    """Run from the command line; return the exit status, which says nothing of the figures."""
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measure speed and size.")
    parser.add_argument("--seconds", type=float, default=5, help="length of each row (default: 5)")
    parser.add_argument(
        "--model", type=Path, default=store.RELEASED, help="artifact folder (default: the released one)"
    )
    parser.add_argument(
        "--work", type=Path, default=ROOT / "build" / "bench", help="keeps what is installed for comparison"
    )
    parser.add_argument(
        "--report", type=Path, default=ROOT / "report" / "bench.md", help="also written here (default: report/bench.md)"
    )
    options = parser.parse_args()
    # Each engine is to choose by the cores that it is given.
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "DUANBIAO_API_KEY"):
        os.environ.pop(name, None)
    run = Run(options.model, options.seconds, options.work)
    lines = machine.describe(run.cores)
    text = markdown("Benchmark", lines, report.tables(run.measure(), len(run.cores)))
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
