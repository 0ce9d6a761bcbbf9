"""What `make scale` generates and computes, and a short run of it."""

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from bench.archive import paragraphs, write_archive
from scale.__main__ import Row, extrapolate

ROOT = Path(__file__).resolve().parent.parent


def test_the_archive_is_always_the_same_and_has_no_two_parts_alike(tmp_path: Path) -> None:
    write_archive(tmp_path / "a.jsonl", 500)
    entries = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text(encoding="utf-8").splitlines()]
    texts = [entry["text"] for entry in entries]
    assert texts == list(islice(paragraphs(), 500))
    assert len({entry["id"] for entry in entries}) == 500 and all(text.strip() for text in texts)
    assert len(set(texts)) > 490
    assert 60 < sum(map(len, texts)) / 500 < 240


def test_it_extrapolates_along_the_line_of_the_largest_sizes() -> None:
    rows = [Row(size, 5 + size / 50, 0, 60) for size in (100, 1000, 10_000)]
    assert extrapolate(rows, 1_000_000) == pytest.approx(5 + 20_000)
    assert extrapolate(rows[:1], 1000) == pytest.approx(70)


@pytest.mark.slow
def test_a_short_run_fills_the_table(tiny_artifact: Path, tmp_path: Path) -> None:
    report = tmp_path / "scale.md"
    options = ["--sizes", "20", "40", "--model", str(tiny_artifact), "--report", str(report)]
    path = os.pathsep.join([str(ROOT), str(ROOT / "tests")])
    done = subprocess.run(
        [sys.executable, "-m", "scale", *options],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows = [line.strip("| ").split(" | ") for line in report.read_text().splitlines() if line.startswith("|")][2:]
    assert [row[0] for row in rows] == ["20", "40", "1,000,000, extrapolated"]
    for row in rows[:2]:
        assert all(float(cell.split()[0]) > 0 for cell in row[1:3]) and int(row[3].split()[0]) > 50
