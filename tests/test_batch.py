"""Batch tagging from the command line: answers, errors, and going on after any interruption."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models import store
from models.artifact import TAGGER_FILE
from models.tagger import Tagger
from serving import batch, spool
from serving.inputs import Position, list_sources, read_units
from serving.records import paragraphs_of, tag_paragraphs

ROOT = Path(__file__).resolve().parent.parent
SEEDS = ROOT / "seeds"
NEWS = ["县委统战部召开民主党派座谈会。", "应急管理局检查矿山消防隐患。", "果农开网店直播卖苹果三万斤。"]

Tag = Callable[..., int]


@pytest.fixture
def tag(tiny_artifact: Path) -> Tag:
    def run(place: Path | str, out: Path | str) -> int:
        return batch.main([str(place), str(out), "--model", str(tiny_artifact)])

    return run


def write_lines(path: Path, n: int) -> Path:
    lines = [json.dumps({"id": f"p{i}", "text": f"{i}：{NEWS[i % 3]}"}, ensure_ascii=False) for i in range(n)]
    lines[n // 2] = "not JSON"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_articles(folder: Path, n: int) -> Path:
    folder.mkdir()
    for i in range(n):
        (folder / f"{i:03}.txt").write_text("\n\n".join(f"{i}，{text}" for text in NEWS), encoding="utf-8")
    (folder / "000.md").write_bytes(b"\0")
    (folder / "001.md").touch()
    return folder


def read_lines(path: Path) -> list[Any]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file]


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_seeds_give_the_records_that_the_service_gives(
    tag: Tag, tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    assert tag("seeds", tmp_path / "o.jsonl") == 0
    tagger = Tagger(tiny_artifact)
    expected = []
    for path in sorted(Path("seeds").iterdir()):
        with path.open(encoding="utf-8", newline="") as file:
            expected += tag_paragraphs(tagger, paragraphs_of(file.read(), "text", str(path)))
    records = read_lines(tmp_path / "o.jsonl")
    assert records == expected
    assert names(tmp_path) == ["o.jsonl"]
    counts = {topic: sum(topic in record["topics"] for record in records) for topic in records[0]["scores"]}
    answers = [record["answer"] for record in records]
    assert capsys.readouterr().out == (
        f"{tmp_path / 'o.jsonl'}: sources 5, paragraphs {len(records)}: "
        + ", ".join(f"{topic} {count}" for topic, count in counts.items())
        + f", none {answers.count('none')}, unsure {answers.count('unsure')}; errors 0\n"
    )


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_one_article_to_other_formats(tag: Tag, tmp_path: Path, ending: str) -> None:
    article = SEEDS / "000_aad4990d4805cd59.txt"
    out = tmp_path / f"o{ending}"
    out.write_text("old")
    assert tag(article, out) == 0
    assert names(tmp_path) == [out.name]
    assert out.stat().st_size > 10_000


def test_errors_are_listed_and_the_rest_is_tagged(tag: Tag, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o.csv"
    assert tag(write_articles(tmp_path / "in", 4), out) == 1
    assert read_lines(tmp_path / "o.csv.errors.jsonl") == [
        {
            "source": str(tmp_path / "in" / "000.md"),
            "line": None,
            "reason": f"{tmp_path / 'in' / '000.md'}: not text in UTF-8, UTF-16 or GB18030; save it as UTF-8 text",
        }
    ]
    assert len(out.read_text(encoding="utf-8").splitlines()) == 1 + 4 * len(NEWS)
    said = capsys.readouterr()
    assert "sources 6 (1 without a paragraph), paragraphs 12: " in said.out
    assert "1 could not be tagged" in said.err
    (tmp_path / "in" / "000.md").unlink()
    assert tag(tmp_path / "in", out) == 0
    assert names(tmp_path) == ["in", "o.csv"]


def test_requests_that_cannot_work_are_refused(
    tag: Tag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write_lines(Path("in.jsonl"), 3)
    write_lines(Path("o.csv.errors.jsonl"), 3)
    Path("empty").mkdir()
    Path("folder.csv").mkdir()
    Path("link.jsonl").symlink_to("in.jsonl")
    before = names(tmp_path)
    for place, out, message in [
        ("nowhere", "o.csv", "nowhere: no such file or folder"),
        ("empty", "o.csv", "empty: no article file in this folder"),
        ("folder.csv", "o.csv", "folder.csv: no article file in this folder"),
        ("in.jsonl", "o.xlsx", "OUT is o.xlsx; its ending must be one of .jsonl .csv .parquet"),
        ("in.jsonl", "lost/o.csv", "lost: no such folder; create it"),
        ("in.jsonl", "folder.csv", "folder.csv is a folder"),
        ("in.jsonl", "./in.jsonl", "IN is in.jsonl, which this run would overwrite"),
        ("in.jsonl", "link.jsonl", "IN is in.jsonl, which this run would overwrite"),
        ("o.csv.errors.jsonl", "o.csv", "IN is o.csv.errors.jsonl, which this run would overwrite"),
    ]:
        assert tag(place, out) == 2
        said = capsys.readouterr()
        assert message in said.err
        assert len(said.err.splitlines()) == 1
        assert said.out == ""
    assert names(tmp_path) == before


def test_arguments_must_not_be_empty(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        batch.main(["", "o.csv"])
    assert "argument IN: is empty; give a path" in capsys.readouterr().err


def test_the_model_in_use_is_the_default(
    tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(write_lines(tmp_path / "in.jsonl", 3)), str(tmp_path / "o.jsonl")]
    monkeypatch.setattr(store, "current_name", lambda: "duanbiao:19990101-000000")
    assert batch.main(arguments) == 2
    assert "no model 'duanbiao:19990101-000000'" in capsys.readouterr().err
    monkeypatch.setattr(store, "current_name", lambda: str(tiny_artifact))
    assert batch.main(arguments) == 1
    assert {record["model"] for record in read_lines(tmp_path / "o.jsonl")} == {"tiny-1"}


def interrupt_after(n: int, place: Path, out: Path, artifact: Path) -> None:
    """Leave what a run leaves that is killed while it writes its unit number `n`, from 0."""
    job = batch.prepare(place, out, str(artifact))
    with spool.Spool(out, job.identity, job.topics) as begun:
        for unit in list(read_units(list_sources(place), Position()))[:n]:
            begun.commit(unit, tag_paragraphs(job.tagger, unit.paragraphs))
    for ending in (".partial", ".partial.errors"):
        with spool.beside(out, ending).open("ab") as file:
            file.write(b'{"id": "cut sho')
    for ending in (".tmp", ".partial.state.tmp"):
        spool.beside(out, ending).write_bytes(b"half")


@pytest.mark.parametrize("n", range(5))
def test_goes_on_after_every_unit(
    tag: Tag, tiny_artifact: Path, tmp_path: Path, n: int, capsys: pytest.CaptureFixture[str]
) -> None:
    place, undisturbed, out = write_lines(tmp_path / "in.jsonl", 600), tmp_path / "u.csv", tmp_path / "o.csv"
    assert tag(place, undisturbed) == 1
    summary = capsys.readouterr().out
    interrupt_after(n, place, out, tiny_artifact)
    assert tag(place, out) == 1
    said = capsys.readouterr()
    done = [0, 256, 511, 599, 599][n]
    assert (f"continuing an interrupted run after {done} paragraphs" in said.err) == bool(n)
    assert said.out == summary.replace("u.csv", "o.csv")
    assert out.read_bytes() == undisturbed.read_bytes()
    problems, expected = tmp_path / "o.csv.errors.jsonl", tmp_path / "u.csv.errors.jsonl"
    assert problems.read_bytes() == expected.read_bytes()
    assert names(tmp_path) == sorted(["in.jsonl", out.name, problems.name, undisturbed.name, expected.name])


def change_input(place: Path, artifact: Path, out: Path) -> None:
    os.utime(place, ns=(1, 1))


def change_model(place: Path, artifact: Path, out: Path) -> None:
    path = artifact / TAGGER_FILE
    path.write_text(path.read_text(encoding="utf-8").replace('"threshold": 0.5', '"threshold": 0.6'), encoding="utf-8")


def lose_records(place: Path, artifact: Path, out: Path) -> None:
    os.truncate(spool.beside(out, ".partial"), 10)


def damage_state(place: Path, artifact: Path, out: Path) -> None:
    spool.beside(out, ".partial.state").write_text("[]")


@pytest.mark.parametrize(
    ("disturb", "why"),
    [
        (change_input, "input changed since"),
        (change_model, "model changed since"),
        (lose_records, "its files are incomplete"),
        (damage_state, "o.jsonl.partial.state is damaged"),
    ],
)
def test_starts_anew_when_it_must(
    tag: Tag,
    tiny_artifact: Path,
    tmp_path: Path,
    disturb: Callable[[Path, Path, Path], None],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place, out = write_lines(tmp_path / "in.jsonl", 300), tmp_path / "o.jsonl"
    artifact = tmp_path / "model"
    artifact.mkdir()
    for path in tiny_artifact.iterdir():
        (artifact / path.name).write_bytes(path.read_bytes())
    interrupt_after(1, place, out, artifact)
    disturb(place, artifact, out)
    assert batch.main([str(place), str(out), "--model", str(artifact)]) == 1
    assert f"starting anew, the interrupted run cannot be continued: {why}" in capsys.readouterr().err.replace(
        f"{tmp_path}/", ""
    )
    assert [record["id"] for record in read_lines(out)] == [f"p{i}" for i in range(300) if i != 150]
    assert names(tmp_path) == ["in.jsonl", "model", "o.jsonl", "o.jsonl.errors.jsonl"]


def test_two_runs_do_not_write_the_same_output(
    tag: Tag, tiny_artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, out = write_lines(tmp_path / "in.jsonl", 3), tmp_path / "o.jsonl"
    job = batch.prepare(place, out, str(tiny_artifact))
    with spool.Spool(out, job.identity, job.topics):
        assert tag(place, out) == 2
        assert "another run writes the same output" in capsys.readouterr().err
    assert tag(place, out) == 1


def test_a_full_disk_keeps_what_is_done(
    tag: Tag, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    place, out = write_lines(tmp_path / "in.jsonl", 300), tmp_path / "o.jsonl"

    def fail(*arguments: object) -> None:
        raise OSError("No space left on device")

    with monkeypatch.context() as disk:
        disk.setattr(batch, "write_output", fail)
        assert tag(place, out) == 2
    assert "No space left on device; when that is solved, run the same command again" in capsys.readouterr().err
    assert not out.exists()
    assert tag(place, out) == 1
    assert "continuing an interrupted run after 299 paragraphs" in capsys.readouterr().err
    assert len(read_lines(out)) == 299


def start(place: Path, out: Path, artifact: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "serving.batch", str(place), str(out), "--model", str(artifact)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_after_progress(process: subprocess.Popen[str], out: Path, with_signal: signal.Signals, delay: float) -> str:
    """Wait until the run has saved a unit more, and a little longer; stop it and return what it said."""
    state = spool.beside(out, ".partial.state")
    before = state.stat().st_mtime_ns if state.exists() else None
    while process.poll() is None and (not state.exists() or state.stat().st_mtime_ns == before):
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(with_signal)
    return process.communicate(timeout=60)[1]


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["articles", "lines"])
def test_killed_runs_give_the_same_bytes(tag: Tag, tiny_artifact: Path, tmp_path: Path, kind: str) -> None:
    place = write_lines(tmp_path / "in.jsonl", 1500) if kind == "lines" else write_articles(tmp_path / "in", 150)
    undisturbed, out = tmp_path / "u.parquet", tmp_path / "o.parquet"
    assert tag(place, undisturbed) == 1
    chance = random.Random(5)
    killed = 0
    for _ in range(4):
        process = start(place, out, tiny_artifact)
        stop_after_progress(process, out, signal.SIGKILL, chance.uniform(0, 0.15))
        killed += process.returncode == -signal.SIGKILL
        if out.exists():
            break
    assert killed
    assert tag(place, out) == 1
    assert out.read_bytes() == undisturbed.read_bytes()
    assert spool.beside(out, ".errors.jsonl").read_bytes() == spool.beside(undisturbed, ".errors.jsonl").read_bytes()
    assert not list(tmp_path.glob("*.partial*")) + list(tmp_path.glob("*.tmp"))


@pytest.mark.slow
def test_ctrl_c_says_how_to_continue(tag: Tag, tiny_artifact: Path, tmp_path: Path) -> None:
    place, undisturbed, out = write_lines(tmp_path / "in.jsonl", 1500), tmp_path / "u.jsonl", tmp_path / "o.jsonl"
    process = start(place, out, tiny_artifact)
    said = stop_after_progress(process, out, signal.SIGINT, 0)
    assert process.returncode == 130
    assert said == "interrupted; run the same command again to continue\n"
    assert not out.exists()
    assert tag(place, out) == tag(place, undisturbed) == 1
    assert out.read_bytes() == undisturbed.read_bytes()


@pytest.mark.slow
def test_neither_torch_nor_bentoml_is_loaded(tiny_artifact: Path, tmp_path: Path) -> None:
    place = write_lines(tmp_path / "in.jsonl", 3)
    code = (
        "import sys; from serving import batch; status = batch.main(sys.argv[1:]); "
        "print(status, sorted({'torch', 'bentoml', 'transformers'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(place), str(tmp_path / "o.csv"), "--model", str(tiny_artifact)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 []"
