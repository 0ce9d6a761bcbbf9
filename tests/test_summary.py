"""`make summary`: what it writes and prints, its exit status, and its memory on large files."""

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

from models import store
from models.out_of_fold import OUT_OF_FOLD_FILE, write_out_of_fold
from models.tagger import Tagger
from serving.batch.outputs import ending_of_output, write_output
from serving.records import tag_paragraphs, taken_as_is
from serving.summary import report, summarize
from serving.summary.drift import training_of
from training import evaluate

TEXTS = ["县委召开座谈会。", "隐患排查整治。", "网店直播带货。", "合作社种桃。", "天气转阴。"]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run it; give the exit status and what it printed on standard output and error."""

    def run(place: Path) -> tuple[int, str, str]:
        status = summarize.main([str(place), "--out", str(tmp_path / "report")])
        return (status, *capsys.readouterr())

    return run


@pytest.fixture
def version(tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tiny artifact as a version of the store, trained on 200 paragraphs."""
    monkeypatch.setattr(store, "STORE", tmp_path / "store")
    folder = Path(shutil.copytree(tiny_artifact, tmp_path / "store" / "models" / "tiny" / "tiny-1"))
    logits = np.random.default_rng(1).normal(0, 4, (200, 5)).astype(np.float32)
    write_out_of_fold(folder, [f"p{row}" for row in range(200)], ["字" * (row % 90 + 1) for row in range(200)], logits)
    return folder


@pytest.fixture
def records(tiny_artifact: Path) -> list[dict[str, Any]]:
    """30 paragraphs of two sources and three months, really tagged."""
    paragraphs = []
    for number in range(30):
        name = f"{'县报' if number % 3 else '晚报'}/2024-{number % 3 + 4:02d}-01.txt"
        paragraphs.append(taken_as_is(f"{name}#{number}", TEXTS[number % 5] * (number + 1), number, name))
    return tag_paragraphs(Tagger(tiny_artifact), paragraphs)


def write(path: Path, records: list[dict[str, Any]]) -> Path:
    spool = path.with_name("spool")
    spool.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records), encoding="utf-8")
    write_output(spool, path, ending_of_output(path), list(records[0]["scores"]))
    spool.unlink()
    return path


def overview_of(path: Path) -> str:
    """Return the part of the report on topics, sources, months and scores."""
    (counts,) = summarize.count([path]).versions.values()
    return "\n".join(report.overview(counts, dict.fromkeys(counts.topics, "")))


def table(text: str, heading: str) -> list[list[str]]:
    """Return the cells of the first table behind a heading, its heads included."""
    lines = text.split(f"{heading}\n", 1)[1].splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("|"))
    rows = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in line.strip("|").split("|")])
    return [rows[0], *rows[2:]]


def test_it_counts_what_was_tagged(version: Path, records: list[dict[str, Any]], run: Run, tmp_path: Path) -> None:
    status, printed, errors = run(write(tmp_path / "tags.parquet", records))
    assert (status, errors) == (0, "")
    out = tmp_path / "report"
    text = (out / "summary.md").read_text(encoding="utf-8")
    assert text in printed
    pictures = {f"summary-1-{what}.png" for what in ("months", "sources", "scores")}
    assert {file.name for file in out.iterdir()} == {"summary.md", "summary.csv", *pictures}
    assert all(f"({name})" in text for name in pictures)
    topics = list(records[0]["scores"])
    for what, n_chars, places in (("source", 2, ("县报", "晚报")), ("month", 7, ("2024-04", "2024-05", "2024-06"))):
        head, *rows = table(text, f"### By {what}")
        assert head[1:] == ["paragraphs", *(f"`{topic}`" for topic in topics), "none", "unsure"]
        assert [row[0] for row in rows] == list(places)
        for row in rows:
            start = 0 if what == "source" else 3
            mine = [one for one in records if one["article"][start : start + n_chars] == row[0]]
            n_given = [sum(topic in one["topics"] for one in mine) for topic in topics]
            n_answers = [sum(one["answer"] == answer for one in mine) for answer in ("none", "unsure")]
            assert row[1:] == [str(len(mine)), *(f"{n / len(mine):.1%}" for n in (*n_given, *n_answers))]
    with (out / "summary.csv").open(encoding="utf-8-sig", newline="") as file:
        cells = list(csv.DictReader(file))
    assert sum(int(cell["paragraphs"]) for cell in cells) == 30
    assert {(cell["model"], cell["source"], cell["month"]) for cell in cells} == {
        ("tiny-1", "晚报", "2024-04"),
        ("tiny-1", "县报", "2024-05"),
        ("tiny-1", "县报", "2024-06"),
    }
    for topic in topics:
        assert sum(int(cell[topic]) for cell in cells) == sum(topic in one["topics"] for one in records)
    drift = {row[0]: row for row in table(text, "### Drift against the training data")}
    # 30 paragraphs show nothing, and it is said so.
    assert drift["length in characters"][-1].startswith("too few paragraphs, trust it from ")
    share = sum(one["answer"] == "none" for one in records) / 30
    assert drift["answer `none`"][2] == f"{share:.1%}"


def test_scores_stand_in_ranges(version: Path, records: list[dict[str, Any]], tmp_path: Path) -> None:
    head, *rows = table(overview_of(write(tmp_path / "tags.jsonl", records)), "### Scores")
    edges = [float(one.split(" to ")[0]) for one in head[1:]] + [1.0001]
    for row in rows:
        scores = [one["scores"][row[0].strip("`")] for one in records]
        parts = [np.mean([low <= score < high for score in scores]) for low, high in pairwise(edges)]
        assert row[1:] == [f"{part:.1%}" for part in parts]


def test_reports_go_beside_those_of_the_training() -> None:
    assert summarize.DEFAULT_OUT == evaluate.DEFAULT_REPORT == ROOT / "report"


@pytest.mark.slow
def test_versions_are_reported_apart(version: Path, records: list[dict[str, Any]], run: Run, tmp_path: Path) -> None:
    for place, one in enumerate(records):
        if place >= 20:
            # Topics of its own, and a name that means something in Markdown and on a terminal.
            one |= {"model": "old|1\x1b[2J", "scores": {"sports": 0.9}, "topics": ["sports"], "evidence": {}}
    shards = tmp_path / "shards"
    shards.mkdir()
    write(shards / "a.jsonl", records[:20])
    write(shards / "b.jsonl", records[20:])
    status, printed, _ = run(shards)
    assert status == 0 and "\x1b" not in printed
    assert "30 paragraphs in 2 files" in printed
    first, second = printed.split("\n## Model ")[1:]
    assert first.startswith("tiny-1\n") and "\n20 paragraphs" in first and "PSI" in first
    assert second.startswith("old\\|1\\\\x1b\\[2J\n") and "\n10 paragraphs" in second and "PSI" not in second
    assert "Not known: this version is neither the released one nor in the store." in second
    assert (tmp_path / "report" / "summary-2-scores.png").is_file()
    # Another summary in the same folder leaves nothing of this one.
    run(shards / "a.jsonl")
    assert not list((tmp_path / "report").glob("summary-2-*"))
    assert "sports" not in (tmp_path / "report" / "summary.csv").read_text(encoding="utf-8-sig")


def test_a_version_without_lengths_has_no_drift_of_lengths(
    version: Path, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    kept = [json.loads(line) for line in (version / OUT_OF_FOLD_FILE).read_text().splitlines()]
    lines = [json.dumps({"id": one["id"], "logits": one["logits"]}) + "\n" for one in kept]
    (version / OUT_OF_FOLD_FILE).write_text("".join(lines))
    counts = summarize.count([write(tmp_path / "tags.jsonl", records)]).versions["tiny-1"]
    text = "\n".join(report.drift_section(counts, training_of("tiny-1")))
    assert "kept no lengths" in text and "| length in characters |" not in text
    assert "| scores of `e_commerce` |" in text


def test_damaged_records_are_named_and_left_out(
    version: Path, records: list[dict[str, Any]], run: Run, tmp_path: Path
) -> None:
    records[5]["scores"] = {"e_commerce": 0.5}
    records[5]["topics"] = []
    path = write(tmp_path / "tags.jsonl", records)
    lines = path.read_bytes().splitlines()
    lines[0] = b"{"
    path.write_bytes(b"\n".join(lines))
    status, printed, errors = run(path)
    assert status == 1 and errors == "damaged records left out: 2; the summary names them\n"
    assert "28 paragraphs in 1 file, damaged records left out: 2." in printed
    damaged = printed.split("## Damaged records, left out\n")[1]
    assert "tags.jsonl, line 1: not JSON" in damaged
    assert "tags.jsonl, line 6: its scores are not those of the topics" in damaged


def test_of_many_damaged_records_the_first_are_remembered(
    version: Path, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    path = write(tmp_path / "tags.jsonl", records)
    path.write_bytes(b"{}\n" * 1234 + path.read_bytes())
    totals = summarize.count([path])
    assert (totals.n_damaged, totals.paragraphs) == (1234, 30)
    assert [one.split(", line ")[1] for one in totals.damaged] == [
        f"{line}: 'id' is missing" for line in range(1, summarize.MAX_NAMED + 1)
    ]


def test_records_that_cannot_be_counted_do_not_read_their_version_each_time(
    version: Path, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    for one in records:
        one |= {"scores": {"sports": 0.5}, "topics": [], "evidence": {}}
    path = write(tmp_path / "tags.jsonl", records)
    totals = summarize.count([path])
    assert totals.n_damaged == 30 and not totals.versions and list(totals.trainings) == ["tiny-1"]


def test_very_many_versions_are_damage(version: Path, records: list[dict[str, Any]], tmp_path: Path) -> None:
    many = [records[0] | {"model": f"v{number}"} for number in range(summarize.MAX_VERSIONS + 7)]
    totals = summarize.count([write(tmp_path / "tags.jsonl", many)])
    assert len(totals.versions) == summarize.MAX_VERSIONS and totals.n_damaged == 7


def test_where_nothing_can_be_counted_nothing_is_written(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "tags.jsonl"
    path.write_text("{}\n")
    status, printed, errors = run(path)
    assert (status, printed) == (2, "")
    assert "no record that could be counted" in errors and "line 1: 'id' is missing" in errors
    status, _, errors = run(tmp_path / "none.jsonl")
    assert status == 2 and "no tag file here" in errors
    assert not (tmp_path / "report").exists()


def test_long_tables_are_cut_and_add_up(
    version: Path, records: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(report, "MAX_ROWS", 2)
    for number, one in enumerate(records):
        one["article"] = f"source{number % 6 if number > 5 else 0}/2024-{number % 6 + 1:02d}-01.txt"
        one["id"] = f"{one['article']}#0"
    printed = overview_of(write(tmp_path / "tags.jsonl", records))
    sources = table(printed, "### By source")[1:]
    assert [(row[0], row[1]) for row in sources] == [("source0", "10"), ("source1", "4"), ("4 smaller sources", "16")]
    months = table(printed, "### By month")[1:]
    assert [(row[0], row[1]) for row in months] == [("4 earlier months", "20"), ("2024-05", "5"), ("2024-06", "5")]


PEAK = """
import sys
from pathlib import Path
from serving.summary import summarize
status = summarize.main(sys.argv[1:])
peak = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
print(status, peak, "torch" in sys.modules)
"""


@pytest.mark.slow
@pytest.mark.parametrize("form", ["jsonl", "parquet"])
def test_memory_does_not_grow_with_the_records_and_torch_is_not_loaded(
    form: str, records: list[dict[str, Any]], tmp_path: Path
) -> None:
    peaks = []
    # The smaller file has whole row groups already; the larger one is of 30 MB as JSON lines.
    for times in (300, 1500):
        many = [one | {"id": f"{one['id']}-{turn}"} for turn in range(times) for one in records]
        path = write(tmp_path / f"tags{times}.{form}", many)
        command = [sys.executable, "-c", PEAK, str(path), "--out", str(tmp_path / "report")]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=True)
        status, peak, torch = done.stdout.splitlines()[-1].split()
        assert (status, torch) == ("0", "False")
        assert f"{30 * times:,} paragraphs in 1 file" in done.stdout
        peaks.append(1024 * int(peak))
    assert peaks[1] < peaks[0] + 20_000_000, peaks
