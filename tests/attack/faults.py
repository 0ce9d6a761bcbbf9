"""Things that break below the service while it answers."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from time import monotonic, sleep

from running_server import ROOT, Server, wait_until

from attack.bounds import Finding
from attack.load import Tally, Truth, closed_loop, lasting, run, under_load
from models import store
from models.artifact import LEXICON_FILE, MODEL_FILE
from serving.watch import FILES

RESTART_SECONDS = 60
STOP_SECONDS = 35
"""BentoML gives its worker 30 s after SIGTERM."""
LONG = 16
"""Requests under way when the service is told to end."""


def kill_worker(server: Server, truth: Truth) -> Finding:
    """Kill the process that answers, under load."""
    with under_load(str(server.http.base_url), truth) as tally:
        wait_until(lambda: tally.statuses[200] > 10, "the load is on")
        killed, dead = monotonic(), server.worker()
        os.kill(dead, signal.SIGKILL)
        wait_until(lambda: server.worker() not in (0, dead), "there is a new worker")
        before = tally.statuses[200]
        wait_until(lambda: tally.statuses[200] > before + 10, "the new worker answers", server.log)
        seconds = monotonic() - killed
    return Finding(
        "worker killed with -9 under load",
        f"right answers again after {seconds:.0f} s; {tally}; {tally.wrong} wrong",
        f"{RESTART_SECONDS} s, 0 wrong",
        seconds < RESTART_SECONDS and not tally.wrong and set(tally.statuses) <= {200, 429, 503},
    )


def damage_in_place(server: Server, truth: Truth, model: Path, names: Sequence[str] = FILES) -> Iterator[Finding]:
    """Cut off, one after the other, files of the model in use; make each whole again."""
    for name in names:
        whole = (model / name).read_bytes()
        logged = len(server.log())
        with under_load(str(server.http.base_url), truth, 2) as tally:
            # As a copy in progress leaves it: the same file, shorter.
            (model / name).write_bytes(whole[: len(whole) // 2])
            wait_until(lambda start=logged: "stays in use" in server.log()[start:], f"{name} is refused", server.log)
            sleep(1)
            (model / name).write_bytes(whole)
            wait_until(lambda start=logged: "is in use" in server.log()[start:], f"{name} is taken up", server.log)
            sleep(1)
        told = name in next(line for line in server.log()[logged:].splitlines() if "stays in use" in line)
        yield Finding(
            f"{name} cut off while in use",
            f"{tally}; {tally.wrong} wrong; the log {'names it' if told else 'does not name it'}",
            "200, 0 wrong, named",
            _all_right(tally) and told,
        )


def _all_right(tally: Tally) -> bool:
    return set(tally.statuses) == {200} and not tally.wrong and not tally.broken


def damaged_at_start(home: Path, truth: Truth, model: Path) -> Finding:
    """Start with a damaged model, then mend it."""
    folder = shutil.copytree(model, home.with_name(home.name + "-model"))
    whole = (folder / LEXICON_FILE).read_bytes()
    (folder / LEXICON_FILE).write_bytes(whole[:-1])
    server = Server(home, DUANBIAO_MODEL=str(folder))
    try:
        server.wait_for("/livez")
        wait_until(lambda: "model not loaded" in server.log(), "the log says why", server.log)
        probe, asked = server.http.get("/readyz"), server.tag("安全")
        told = str(folder / LEXICON_FILE) in server.log()
        (folder / LEXICON_FILE).write_bytes(whole)
        mended = monotonic()
        server.wait_for("/readyz")
        seconds = monotonic() - mended
        tally = run(closed_loop(str(server.http.base_url), truth, 2, lasting(2)))
    finally:
        server.stop()
    codes = [answer.json()["error"]["code"] for answer in (probe, asked)]
    refused = (probe.status_code, asked.status_code, codes) == (503, 503, ["not_ready", "no_model"])
    return Finding(
        "model damaged at start",
        f"{probe.status_code} {' and '.join(codes)}; mended, ready after {seconds:.0f} s; {tally}; {tally.wrong} wrong",
        "503, file named, back by itself",
        refused and told and _all_right(tally),
    )


SAVE = """
import resource, shutil, signal, sys
from pathlib import Path
from models import store
model, limit = Path(sys.argv[1]), int(sys.argv[2])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    tag = store.save("duanbiao", lambda folder: shutil.copytree(model, folder, dirs_exist_ok=True))
    store.promote(tag)
except OSError as error:
    print(error)
"""


def disk_full(server: Server, truth: Truth, model: Path, models: Path) -> Finding:
    """Save and promote a model where no file can grow beyond half of the largest of them.

    Args:
        server: follows the pointer `current` in `models`.
        truth: what its model answers.
        model: artifact folder to save.
        models: the folder that DUANBIAO_MODELS named to the server.
    """
    pointer = models / store.CURRENT.name
    before = (pointer.read_text(encoding="utf-8"), _whole_models(models))
    limit = max(file.stat().st_size for file in model.iterdir() if file.is_file()) // 2
    with tempfile.TemporaryDirectory() as scratch:
        environment = {**os.environ, "DUANBIAO_MODELS": str(models), "TMPDIR": scratch}
        done = subprocess.run(
            [sys.executable, "-c", SAVE, str(model), str(limit)],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        left = [file for file in Path(scratch).rglob("*") if file.is_file()]
    kept = before == (pointer.read_text(encoding="utf-8"), _whole_models(models))
    tally = run(closed_loop(str(server.http.base_url), truth, 2, lasting(2)))
    return Finding(
        "disk full while a model is saved",
        f"{'refused' if done.stdout else 'saved'}; {len(left)} files left behind; {tally}; {tally.wrong} wrong",
        "refused, nothing left, 200",
        "File too large" in done.stdout and done.returncode == 0 and kept and not left and _all_right(tally),
    )


def _whole_models(models: Path) -> list[Path]:
    return sorted(file for file in models.rglob("*") if file.name == MODEL_FILE)


def terminate(server: Server, truth: Truth) -> Finding:
    """End the service while it works on requests that it has taken."""
    url = str(server.http.base_url)
    with under_load(url, truth, LONG) as tally:
        wait_until(lambda: tally.statuses[200] > LONG, "the load is on")
        # What is under way is to be answered; nothing more is sent.
        tally.enough.set()
        server.process.send_signal(signal.SIGTERM)
        told = monotonic()
        wait_until(lambda: server.process.poll() is not None, "the process has ended")
        seconds = monotonic() - told
    lost = tally.broken.total()
    return Finding(
        f"SIGTERM under load of {LONG} clients",
        f"ended after {seconds:.0f} s; {tally}, {tally.wrong} wrong, {lost} taken and not answered",
        f"{STOP_SECONDS} s, 0 wrong, 0 lost",
        seconds < STOP_SECONDS and not tally.wrong and not lost and set(tally.statuses) == {200},
    )
