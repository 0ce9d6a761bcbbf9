"""`python -m training.retrain` and its like many times over, without the seconds that torch takes to start.

Run as a program it imports the libraries, none of this project, then reads orders, one JSON
object a line: {"module": name, "models": folder, "arguments": [text], "seconds": when to kill it,
or null, "log": file}. Each runs in a forked process; the answer is its exit status, -9 where it was killed.
"""

import json
import os
import runpy
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self

ROOT = Path(__file__).resolve().parent.parent


class Retraining:
    """The program that forks; use it in a `with` statement. `root` is the checkout whose code runs."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root

    def __enter__(self) -> Self:
        environment = {**os.environ, "PYTHONPATH": str(self._root)}
        environment.pop("BENTOML_HOME", None)
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            cwd=self._root,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def run(
        self,
        models: Path,
        arguments: list[str],
        log: Path,
        seconds: float | None = None,
        module: str = "training.retrain",
    ) -> int:
        """Run a module's command in a models folder; kill it (-9) after a time; return the exit status."""
        assert self._process.stdin and self._process.stdout
        order = {"module": module, "models": str(models), "arguments": arguments, "seconds": seconds, "log": str(log)}
        print(json.dumps(order), file=self._process.stdin, flush=True)
        return int(self._process.stdout.readline())


def main() -> None:
    import datasets  # noqa: F401
    import openvino  # noqa: F401
    import sklearn.linear_model  # noqa: F401
    import torch
    import transformers  # noqa: F401
    from transformers import BertModel, Trainer  # noqa: F401

    # Threads do not live on in a forked process.
    torch.set_num_threads(1)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            run_command(order)
        if order["seconds"] is not None:
            time.sleep(order["seconds"])
            os.kill(pid, signal.SIGKILL)
        print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), flush=True)


def run_command(order: dict[str, Any]) -> None:
    """Become what `python -m MODULE` is."""
    os.environ["DUANBIAO_MODELS"] = order["models"]
    file = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(file, 1)
    os.dup2(file, 2)
    sys.argv = [order["module"], *order["arguments"]]
    status = 1
    try:
        runpy.run_module(order["module"], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        status = int(end.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    main()
