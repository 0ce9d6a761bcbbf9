"""A jump of the clock changes nothing: the service never asks for the time of day."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
MODULES = sorted(path for room in ("data", "models", "serving") for path in (ROOT / room).rglob("*.py"))
# What follows the clock on the wall; `time.monotonic` and `time.perf_counter` do not.
WALL_CLOCK = {"time", "time_ns", "now", "utcnow", "today", "localtime", "gmtime", "ctime", "strftime", "asctime"}


def asked(source: str) -> list[str]:
    """Return what a module calls of the modules `time` and `datetime` that follows the clock on the wall."""
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    found = [
        f"{ast.unparse(call)} in line {call.lineno}"
        for call in calls
        if isinstance(call, ast.Attribute)
        and call.attr in WALL_CLOCK
        and ast.unparse(call.value).split(".")[-1] in ("time", "datetime", "date")
    ]
    imports = (
        node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ImportFrom) and node.module == "time"
    )
    return found + [f"{name.name} of time" for node in imports for name in node.names if name.name in WALL_CLOCK]


def test_the_search_finds_what_it_looks_for() -> None:
    source = (
        "import time\nfrom time import time_ns\ntime.time()\ntime.perf_counter()\ndatetime.datetime.now()\nx.time()"
    )
    assert asked(source) == ["time.time in line 3", "datetime.datetime.now in line 5", "time_ns of time"]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_module_asks_for_the_time_of_day(path: Path) -> None:
    assert asked(path.read_text(encoding="utf-8")) == []
