"""Build the Bento, install it as its container would, and compare its answers with the checkout's.

    python -m serving.bento

What goes in stands in pyproject.toml, `tool.bentoml.build`.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from data.sources import read_source
from models.store import RELEASED
from models.tagger import Tagger
from serving.records import paragraphs_of, tag_paragraphs, taken_as_is

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "bento"
STARTS_WITHIN = 120
"""Seconds until the service must be ready."""

ARTICLE = ROOT / "seeds" / "000_aad4990d4805cd59.txt"
PARAGRAPHS = (
    "市委统战部召开党外人士座谈会，听取各民主党派、工商联负责人对经济工作的意见建议。",
    "县应急管理局执法人员深入化工园区，逐一检查储罐和消防设施，责令两家企业限期整改隐患。",
    "社区党支部组织党员帮村民把桃子搬进直播间，三天卖出两万斤，合作社当场兑付了货款。",
    "受冷空气影响，今天夜里到明天白天全市多云转阴，最低气温零下三度。",
    "😀 e\u0301 \u202e 混排 ABC 与符号。",
    "全市安全生产大检查工作会议召开，部署隐患排查整治。" * 40,
)


def build(home: Path) -> Path:
    """Build the Bento in a home of its own and return its folder.

    Raises:
        subprocess.CalledProcessError: bentoml could not build it; its output says why.
    """
    variables = {"DUANBIAO_MODELS": str(home), "BENTOML_HOME": str(home / "store"), "BENTOML_DO_NOT_TRACK": "True"}
    command = [sys.executable, "-m", "bentoml", "build", "--output", "tag", str(ROOT)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | variables, stdout=subprocess.PIPE, text=True, check=True)
    name, version = done.stdout.strip().rsplit("__tag__:", 1)[1].split(":")
    return home / "store" / "bentos" / name / version


def install(bento: Path, environment: Path) -> Path:
    """Install the Bento's requirements into a new virtual environment, and return its interpreter.

    Raises:
        subprocess.CalledProcessError: a package could not be had, or is not the one that was locked.
    """
    uv = [sys.executable, "-m", "uv", "--quiet"]
    python = environment / "bin" / "python"
    requirements = bento / "env" / "python" / "requirements.txt"
    subprocess.run([*uv, "venv", "--no-config", "--python", sys.executable, str(environment)], check=True)
    subprocess.run(
        [*uv, "pip", "install", "--no-config", "--python", str(python), "--requirement", str(requirements)], check=True
    )
    return python


@contextmanager
def serve(python: Path, bento: Path, home: Path) -> Iterator[str]:
    """Serve a Bento from outside the checkout, as its container does; yields the service's address.

    Args:
        python: an interpreter with the Bento's requirements.
        bento: the Bento's folder.
        home: new folder for what the service writes.

    Raises:
        TimeoutError: it was not ready in time; the message has its log.
    """
    home.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("DUANBIAO_", "PYTHON", "PROMETHEUS_"))
    }
    environment |= {"BENTOML_HOME": str(home), "BENTOML_DO_NOT_TRACK": "True", "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), "-m", "bentoml", "serve", str(bento), "--host", "127.0.0.1", "--port", str(port)]
    log_file = home / "log"
    with log_file.open("wb") as log:
        process = subprocess.Popen(command, cwd=home, env=environment, stdout=log, stderr=subprocess.STDOUT)
    address = f"http://127.0.0.1:{port}"
    try:
        end = time.monotonic() + STARTS_WITHIN
        while not _is_ready(address):
            if process.poll() is not None or time.monotonic() > end:
                raise TimeoutError(
                    f"the Bento was not ready within {STARTS_WITHIN} s; its log:\n{log_file.read_text()}"
                )
            time.sleep(0.2)
        yield address
    finally:
        process.terminate()
        process.wait()


def find_differences(address: str) -> list[str]:
    """Compare a service's answers with the checkout's own, and name what differs.

    Every field of every record must be the same, scores to the last digit.
    """
    tagger = Tagger(RELEASED)
    own = [taken_as_is(f"request#{index}", text, index, "request") for index, text in enumerate(PARAGRAPHS)]
    source = read_source(ARTICLE)
    cases = (
        ("/v1/tag", {"paragraphs": PARAGRAPHS}, own),
        ("/v1/tag_article", {"text": source}, paragraphs_of(source, "text", "request")),
    )
    different = []
    for path, question, paragraphs in cases:
        answer = _ask(address + path, question)
        expected = tag_paragraphs(tagger, paragraphs)
        if (answer["model"], len(answer["paragraphs"])) != (tagger.artifact.version, len(expected)):
            different.append(f"{path}: another model, or not {len(expected)} paragraphs")
        pairs = zip(answer["paragraphs"], expected, strict=False)
        different += [f"{path}: {record['id']}" for record, wanted in pairs if record != wanted]
    return different


def measure(folder: Path) -> dict[str, int]:
    """Return the bytes of each file below a folder, and of each folder below it, which has none."""
    paths = sorted(path for path in folder.rglob("*") if not path.is_symlink())
    return {path.relative_to(folder).as_posix(): path.stat().st_size if path.is_file() else 0 for path in paths}


def _is_ready(address: str) -> bool:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _ask(url: str, question: dict[str, Any]) -> Any:
    request = urllib.request.Request(url, json.dumps(question).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=STARTS_WITHIN) as answer:
        return json.load(answer)


def _installed(python: Path) -> list[str]:
    code = "from importlib.metadata import distributions as d; print(*{x.name for x in d()})"
    return subprocess.run([str(python), "-c", code], stdout=subprocess.PIPE, text=True, check=True).stdout.split()


def _megabytes(content: dict[str, int]) -> str:
    return f"{sum(content.values()) / 1e6:.0f} MB"


def main() -> int:
    """Build and check; return 1 if the Bento is not what it should be."""
    shutil.rmtree(BUILD, ignore_errors=True)
    bento = build(BUILD)
    content = measure(bento)
    print(f"Bento: {bento.relative_to(ROOT)}, {_megabytes(content)}")
    python = install(bento, BUILD / "venv")
    packages = _installed(python)
    print(f"installed: {len(packages)} packages, {_megabytes(measure(BUILD / 'venv'))}")
    problems = ["torch is installed"] if "torch" in packages else []
    with serve(python, bento, BUILD / "home") as address:
        problems += [f"another answer than the checkout's: {where}" for where in find_differences(address)]
    if measure(bento) != content:
        problems.append("the service wrote into the Bento's folder")
    print("\n".join(problems) or "torch: not installed; answers: the checkout's own; nothing written into the Bento")
    print(
        f"container: docker build -t duanbiao -f {bento.relative_to(ROOT)}/env/docker/Dockerfile {bento.relative_to(ROOT)}"
    )
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
