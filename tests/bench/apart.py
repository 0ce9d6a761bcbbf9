"""Run a measurement in a process of its own, on cores of its own.

    python -m bench.apart MODULE ARGUMENTS

Each module measured so has a `measure` that takes and returns what JSON can hold.
"""

import importlib
import json
import os
import subprocess
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def pinned(cores: Collection[int]) -> Iterator[None]:
    """Let processes started meanwhile run on these cores only."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def apart(module: str, cores: Collection[int], **arguments: Any) -> Any:
    """Return what `bench.MODULE.measure(**arguments)` returns in a new process on these cores.

    Raises:
        subprocess.CalledProcessError: it failed; its error stands on standard error.
    """
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    with pinned(cores):
        done = subprocess.run(
            [sys.executable, "-m", "bench.apart", f"bench.{module}", json.dumps(arguments)],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": path, "TRANSFORMERS_VERBOSITY": "error"},
            stdout=subprocess.PIPE,
            text=True,
            check=True,
        )
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    print(json.dumps(importlib.import_module(sys.argv[1]).measure(**json.loads(sys.argv[2]))))
