"""Measure how `make tag` scales with the archive: `make scale`.

    PYTHONPATH=tests python -m scale [--sizes N …] [--model FOLDER] [--report FILE]

Each size is tagged by the command of `make tag` in a process of its own, and in process by
`Tagger.tag` on the first paragraphs of the same archive, one after the other on the same cores.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from bench import machine
from bench.apart import ROOT, apart, pinned
from bench.archive import write_archive
from bench.tables import Table, markdown
from tqdm import tqdm

from models import store

SIZES = [10_000, 100_000]
WHOLE = 1_000_000
IN_PROCESS = 5_000
"""No more paragraphs than these are tagged in process."""
POLL = 0.2
"""Seconds between two looks at the process's largest memory."""


@dataclass(frozen=True)
class Row:
    """One size, measured."""

    paragraphs: int
    seconds: float
    """Of the whole command, with start and output."""
    peak_memory: int
    """Bytes resident."""
    in_process: float
    """Paragraphs a second of `Tagger.tag`."""

    @property
    def rate(self) -> float:
        """Paragraphs a second."""
        return self.paragraphs / self.seconds


def tag(archive: Path, out: Path, model: Path) -> tuple[float, int]:
    """Run the command of `make tag`; return its seconds and its peak memory in bytes.

    Raises:
        subprocess.CalledProcessError: it failed; its error stands on standard error.
    """
    command = [sys.executable, "-m", "serving.batch", str(archive), str(out), "--model", f"{model}/"]
    begun, peak = time.perf_counter(), 0
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL) as process:
        status = Path(f"/proc/{process.pid}/status")
        while process.poll() is None:
            # A process that has ended but was not waited for yet has no memory.
            if "VmHWM:" in (text := status.read_text(encoding="utf-8")):
                peak = max(peak, 1024 * int(text.split("VmHWM:")[1].split()[0]))
            time.sleep(POLL)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - begun, peak


def measure(size: int, model: Path, cores: list[int], folder: Path) -> Row:
    """Measure one size."""
    archive = folder / f"archive-{size}.jsonl"
    write_archive(archive, size)
    with pinned(cores):
        seconds, peak = tag(archive, folder / f"tags-{size}.jsonl", model)
    few = min(size, IN_PROCESS)
    found = apart("archive", cores, model=str(model), size=few)
    return Row(size, seconds, peak, few / found["seconds"])


def scale_table(rows: list[Row]) -> Table:
    """Return the table, with the whole archive extrapolated if it was not measured."""
    cells = [
        (
            f"{row.paragraphs:,}",
            f"{row.seconds:.1f}",
            f"{row.rate:.1f}",
            f"{row.peak_memory / 1e6:.0f} MB",
            f"{row.rate / row.in_process:.2f}",
        )
        for row in rows
    ]
    if rows[-1].paragraphs < WHOLE:
        seconds = extrapolate(rows, WHOLE)
        cells.append((f"{WHOLE:,}, extrapolated", f"{seconds:.0f}", f"{WHOLE / seconds:.1f}", "", ""))
    note = (
        "Seconds are those of the whole command, loading the model and writing the output included. In process: "
        f"`Tagger.tag` on the first {IN_PROCESS:,} of the same paragraphs at most, without loading. Extrapolated: the "
        "line through the two largest sizes, or in proportion where there is one."
    )
    heads = ("paragraphs", "seconds", "paragraphs/s", "peak memory", "times the rate in process")
    return Table("make tag", heads, cells, note)


def extrapolate(rows: list[Row], size: int) -> float:
    """Return the seconds that so many paragraphs would take; `rows` are in order of size."""
    last = rows[-1]
    if len(rows) == 1:
        return last.seconds * size / last.paragraphs
    each = (last.seconds - rows[-2].seconds) / (last.paragraphs - rows[-2].paragraphs)
    return last.seconds + each * (size - last.paragraphs)


def main() -> int:
    """Run from the command line; return the exit status, which says nothing of the figures."""
    parser = argparse.ArgumentParser(prog="python -m scale", description="Measure how batch tagging scales.")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="paragraphs (default: 10000 100000)")
    parser.add_argument(
        "--model", type=Path, default=store.RELEASED, help="artifact folder (default: the released one)"
    )
    parser.add_argument("--report", type=Path, default=ROOT / "report" / "scale.md", help="also written here")
    options = parser.parse_args()
    # The engine is to choose by the cores that it is given.
    os.environ.pop("OMP_NUM_THREADS", None)
    cores = sorted(os.sched_getaffinity(0))[:2]
    lines = machine.describe(cores)
    with tempfile.TemporaryDirectory() as folder:
        sizes = tqdm(sorted(set(options.sizes)), unit=" sizes", file=sys.stderr)
        rows = [measure(size, options.model.resolve(), cores, Path(folder)) for size in sizes]
    text = markdown("Scale", lines, [scale_table(rows)])
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
