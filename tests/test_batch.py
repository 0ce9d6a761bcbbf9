"""Batch tagging from the command line: answers, errors, and going on after any interruption."""

import gzip
import json
import multiprocessing
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import SEEDS
from test_documents import make_docx, make_pdf

from models import store
from models.artifact import TAGGER_FILE, file_hash
from models.tagger import Tagger
from serving.batch import job, manifest
from serving.batch.run_files import beside
from serving.batch.spool import Spool
from serving.batch.tables import Columns
from serving.batch.units import Position, read_units
from serving.records import paragraphs_of, tag_paragraphs

ROOT = Path(__file__).resolve().parent.parent
# Paragraphs of one part of the output.
PART = 200
NEWS = ["县委统战部召开民主党派座谈会。", "应急管理局检查矿山消防隐患。", "果农开网店直播卖苹果三万斤。"]

Tag = Callable[..., int]


@pytest.fixture
def tag(tiny_artifact: Path) -> Tag:
    def run(place: Path | str, out: Path | str, *options: str) -> int:
        return job.main([str(place), str(out), "--model", str(tiny_artifact), *options])

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
    (tmp_path / "in" / "seeds").mkdir(parents=True)
    for path in SEEDS:
        shutil.copy(path, tmp_path / "in" / "seeds")
    monkeypatch.chdir(tmp_path / "in")
    assert tag("seeds", tmp_path / "o.jsonl") == 0
    tagger = Tagger(tiny_artifact)
    expected = []
    for path in sorted(Path("seeds").iterdir()):
        with path.open(encoding="utf-8", newline="") as file:
            expected += tag_paragraphs(tagger, paragraphs_of(file.read(), "text", str(path)))
    records = read_lines(tmp_path / "o.jsonl")
    assert records == expected
    assert names(tmp_path) == ["in", "o.jsonl", "o.jsonl.manifest.json"]
    counts = {topic: sum(topic in record["topics"] for record in records) for topic in records[0]["scores"]}
    answers = [record["answer"] for record in records]
    assert capsys.readouterr().out == (
        f"{tmp_path / 'o.jsonl'}: sources 5, paragraphs {len(records)}: "
        + ", ".join(f"{topic} {count}" for topic, count in counts.items())
        + f", none {answers.count('none')}, unsure {answers.count('unsure')}; errors 0\n"
    )


@pytest.mark.parametrize("ending", [".csv", ".parquet"])
def test_one_article_to_other_formats(tag: Tag, tmp_path: Path, ending: str) -> None:
    article = SEEDS[0]
    out = tmp_path / f"o{ending}"
    out.write_text("old")
    assert tag(article, out) == 0
    assert names(tmp_path) == [out.name, f"{out.name}.manifest.json"]
    assert out.stat().st_size > 10_000


def test_errors_are_listed_and_the_rest_is_tagged(tag: Tag, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "o.csv"
    assert tag(write_articles(tmp_path / "in", 4), out) == 1
    assert read_lines(tmp_path / "o.csv.errors.jsonl") == [
        {
            "source": str(tmp_path / "in" / "000.md"),
            "line": None,
            "reason": f"{tmp_path / 'in' / '000.md'}: not text in UTF-8, UTF-16, GB18030 or Big5; save it as UTF-8 text",
        }
    ]
    assert len(out.read_text(encoding="utf-8").splitlines()) == 1 + 4 * len(NEWS)
    said = capsys.readouterr()
    assert "sources 6 (1 without a paragraph), paragraphs 12: " in said.out
    assert "1 could not be tagged" in said.err
    (tmp_path / "in" / "000.md").unlink()
    assert tag(tmp_path / "in", out) == 0
    assert names(tmp_path) == ["in", "o.csv", "o.csv.manifest.json"]


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
        ("empty", "o.csv", "empty: no file to tag there"),
        ("folder.csv", "o.csv", "folder.csv: no file to tag there"),
        ("in.jsonl", "o.xlsx", "OUT is o.xlsx; its ending must be one of .jsonl .csv .parquet .jsonl.gz .csv.gz"),
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
        job.main(["", "o.csv"])
    assert "argument IN: is empty; give a path" in capsys.readouterr().err


def test_the_model_in_use_is_the_default(
    tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(write_lines(tmp_path / "in.jsonl", 3)), str(tmp_path / "o.jsonl")]
    monkeypatch.setattr(store, "current_name", lambda: "duanbiao:19990101-000000")
    assert job.main(arguments) == 2
    assert "no model 'duanbiao:19990101-000000'" in capsys.readouterr().err
    monkeypatch.setattr(store, "current_name", lambda: str(tiny_artifact))
    assert job.main(arguments) == 1
    assert {record["model"] for record in read_lines(tmp_path / "o.jsonl")} == {"tiny-1"}


def request(place: Path, out: Path, artifact: Path) -> job.Request:
    return job.Request(str(place), out, str(artifact), Columns(), PART)


def interrupt_after(n: int, place: Path, out: Path, artifact: Path) -> None:
    """Leave what a run leaves that is killed while it writes its unit number `n`, from 0."""
    with job.prepared(request(place, out, artifact)) as ready, Spool(out, ready.identity, ready.topics, PART) as begun:
        tagger = Tagger(artifact)
        for unit in list(read_units(ready.sources, Position(), Columns()))[:n]:
            begun.commit(unit, tag_paragraphs(tagger, unit.paragraphs))
    for ending in (f".partial.{begun.tally.paragraphs // PART + 1:05}", ".partial.errors", ".partial.inputs"):
        with beside(out, ending).open("ab") as file:
            file.write(b'{"id": "cut sho')
    for ending in (".partial.00001.ready.tmp", ".partial.state.tmp", ".partial.lock"):
        beside(out, ending).write_bytes(b"half")


def sharded(tag: Tag) -> Tag:
    return lambda place, out: tag(place, out, "--shard", str(PART))


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@pytest.mark.parametrize("n", range(4))
def test_goes_on_after_every_unit(
    tag: Tag, tiny_artifact: Path, tmp_path: Path, n: int, capsys: pytest.CaptureFixture[str]
) -> None:
    place = write_lines(tmp_path / "in.jsonl", 600)
    for folder in ("u", "o"):
        (tmp_path / folder).mkdir()
    assert sharded(tag)(place, tmp_path / "u" / "o.csv") == 1
    summary = capsys.readouterr().out
    out = tmp_path / "o" / "o.csv"
    interrupt_after(n, place, out, tiny_artifact)
    assert sharded(tag)(place, out) == 1
    said = capsys.readouterr()
    done = [0, 256, 511, 599][n]
    assert (f"continuing an interrupted run after {done} paragraphs" in said.err) == bool(n)
    assert said.out == summary.replace("/u/", "/o/")
    assert contents(out.parent) == contents(tmp_path / "u")
    assert names(out.parent) == [f"o-0000{i}.csv" for i in (1, 2, 3)] + ["o.csv.errors.jsonl", "o.csv.manifest.json"]


def change_input(place: Path, artifact: Path, out: Path) -> None:
    os.utime(place, ns=(1, 1))


def change_model(place: Path, artifact: Path, out: Path) -> None:
    path = artifact / TAGGER_FILE
    path.write_text(path.read_text(encoding="utf-8").replace('"threshold": 0.5', '"threshold": 0.6'), encoding="utf-8")


def lose_records(place: Path, artifact: Path, out: Path) -> None:
    os.truncate(beside(out, ".partial.00002"), 10)


def damage_state(place: Path, artifact: Path, out: Path) -> None:
    beside(out, ".partial.state").write_text("[]")


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
    assert job.main([str(place), str(out), "--model", str(artifact), "--shard", str(PART)]) == 1
    assert f"starting anew, the interrupted run cannot be continued: {why}" in capsys.readouterr().err.replace(
        f"{tmp_path}/", ""
    )
    records = [record for number in (1, 2) for record in read_lines(tmp_path / f"o-0000{number}.jsonl")]
    assert [record["id"] for record in records] == [f"p{i}" for i in range(300) if i != 150]
    assert names(tmp_path) == [
        "in.jsonl",
        "model",
        "o-00001.jsonl",
        "o-00002.jsonl",
        "o.jsonl.errors.jsonl",
        "o.jsonl.manifest.json",
    ]


def test_two_runs_do_not_write_the_same_output(
    tag: Tag, tiny_artifact: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place, out = write_lines(tmp_path / "in.jsonl", 3), tmp_path / "o.jsonl"
    with job.prepared(request(place, out, tiny_artifact)):
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
        disk.setattr(manifest, "write_problems", fail)
        assert tag(place, out) == 2
    assert "No space left on device; when that is solved, run the same command again" in capsys.readouterr().err
    assert not beside(out, ".manifest.json").exists()
    assert tag(place, out) == 1
    assert "continuing an interrupted run after 299 paragraphs" in capsys.readouterr().err
    assert len(read_lines(out)) == 299


def manifest_of(out: Path) -> Any:
    return json.loads(beside(out, ".manifest.json").read_text(encoding="utf-8"))


def test_the_manifest_lists_what_was_read_and_written(
    tag: Tag, tiny_artifact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_articles(Path("in"), 4)
    Path("in/t.csv").write_text("nr,正文\n1,县委召开座谈会\n2,\n", encoding="utf-8")
    assert tag("in", "o.jsonl", "--text", "正文", "--id", "nr", "--shard", "7") == 1
    found = manifest_of(Path("o.jsonl"))
    assert found["model"] == {"version": "tiny-1", "sha256": file_hash(tiny_artifact / TAGGER_FILE)}
    assert found["options"] == {"in": "in", "text": "正文", "id": "nr", "shard": 7}
    assert {key: found["counts"][key] for key in ("sources", "without_paragraph", "paragraphs", "errors")} == {
        "sources": 7,
        "without_paragraph": 1,
        "paragraphs": 13,
        "errors": 2,
    }
    assert [(part["path"], part["paragraphs"]) for part in found["outputs"]] == [
        ("o-00001.jsonl", 7),
        ("o-00002.jsonl", 6),
    ]
    assert [source["path"] for source in found["inputs"]] == sorted(path.as_posix() for path in Path("in").iterdir())
    for file in (*found["outputs"], *found["inputs"], found["errors"]):
        path = Path(file["path"])
        assert (file["bytes"], file["sha256"]) == (path.stat().st_size, file_hash(path))
    assert [record["id"] for record in read_lines(Path("o-00002.jsonl"))][-1] == "1"
    assert [problem["line"] for problem in read_lines(Path("o.jsonl.errors.jsonl"))] == [None, 3]


def test_a_run_replaces_all_files_of_the_one_before(tag: Tag, tmp_path: Path) -> None:
    place, out = write_lines(tmp_path / "in.jsonl", 30), tmp_path / "o.csv.gz"
    (tmp_path / "o-00009.csv.gz").write_text("not of a run")
    assert tag(place, out, "--shard", "5") == 1
    kept = ["in.jsonl", "o-00009.csv.gz"]
    rest = ["o.csv.gz.errors.jsonl", "o.csv.gz.manifest.json"]
    assert names(tmp_path) == sorted([*kept, *rest, *(f"o-0000{i}.csv.gz" for i in range(1, 7))])
    assert tag(place, out) == 1
    assert names(tmp_path) == sorted([*kept, *rest, out.name])
    assert tag(place, out, "--shard", "20") == 1
    assert names(tmp_path) == sorted([*kept, *rest, "o-00001.csv.gz", "o-00002.csv.gz"])


def test_parts_are_cut_alike_whatever_the_units(tag: Tag, tmp_path: Path) -> None:
    place = write_lines(tmp_path / "in.jsonl", 601)
    assert tag(place, tmp_path / "w.jsonl") == 1
    assert tag(place, tmp_path / "o.jsonl", "--shard", "100") == 1
    parts = [tmp_path / f"o-0000{number}.jsonl" for number in range(1, 7)]
    assert [len(read_lines(part)) for part in parts] == [100] * 6
    assert b"".join(part.read_bytes() for part in parts) == (tmp_path / "w.jsonl").read_bytes()


def test_articles_of_all_kinds_and_tables_in_one_run(tag: Tag, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.docx").write_bytes(make_docx())
    (folder / "b.pdf").write_bytes(make_pdf(NEWS))
    (folder / "c.txt.gz").write_bytes(gzip.compress("\n\n".join(NEWS).encode("gb18030")))
    (folder / "d.jsonl").write_text(json.dumps({"text": NEWS[0]}) + "\n")
    (folder / "e.pdf").write_bytes(make_pdf([""]))
    assert tag(folder, tmp_path / "o.jsonl") == 1
    texts = {}
    for record in read_lines(tmp_path / "o.jsonl"):
        texts.setdefault(Path(record["article"]).name, []).append(record["text"])
    assert texts == {"a.docx": NEWS, "b.pdf": NEWS, "c.txt.gz": NEWS, "d.jsonl": NEWS[:1]}
    (problem,) = read_lines(tmp_path / "o.jsonl.errors.jsonl")
    assert "e.pdf: a PDF without text, probably scanned" in problem["reason"]


def start(place: Path | str, out: Path, artifact: Path, *options: str, stdin: Any = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "serving.batch", str(place), str(out), "--model", str(artifact), *options]
    return subprocess.Popen(command, cwd=ROOT, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def stop_after_progress(process: subprocess.Popen[str], out: Path, with_signal: signal.Signals, delay: float) -> str:
    """Wait until the run has saved a unit more, and a little longer; stop it and return what it said."""
    state = beside(out, ".partial.state")
    before = state.stat().st_mtime_ns if state.exists() else None
    while process.poll() is None and (not state.exists() or state.stat().st_mtime_ns == before):
        time.sleep(0.001)
    time.sleep(delay)
    process.send_signal(with_signal)
    return process.communicate(timeout=60)[1]


@pytest.mark.slow
def test_standard_input_is_tagged_and_goes_on(tag: Tag, tiny_artifact: Path, tmp_path: Path) -> None:
    place = write_lines(tmp_path / "in.jsonl", 1500)
    out = tmp_path / "o.jsonl"
    with place.open("rb") as stdin:
        stop_after_progress(start("-", out, tiny_artifact, stdin=stdin), out, signal.SIGKILL, 0)
    with place.open("rb") as stdin:
        said = start("-", out, tiny_artifact, stdin=stdin).communicate(timeout=60)[1]
    assert "continuing an interrupted run" in said
    assert tag(place, tmp_path / "u.jsonl") == 1
    expected = [{**record, "article": "-"} for record in read_lines(tmp_path / "u.jsonl")]
    assert read_lines(out) == expected
    (source,) = manifest_of(out)["inputs"]
    assert source == {"path": "-", "bytes": place.stat().st_size, "sha256": file_hash(place)}
    assert not list(tmp_path.glob("*.partial*"))


def write_mixed(folder: Path) -> Path:
    write_articles(folder, 12)
    write_lines(folder / "005.jsonl", 320)
    (folder / "010.csv.gz").write_bytes(gzip.compress(("text\n" + f"{NEWS[1]}\n" * 200 + ",\n").encode("gb18030")))
    return folder


@pytest.mark.slow
def test_killed_twenty_times_it_gives_the_same_bytes(tiny_artifact: Path, tmp_path: Path) -> None:
    """Kill at moments spread over the whole run, from before its first unit to its very end."""
    place, undisturbed, out = write_mixed(tmp_path / "in"), tmp_path / "u" / "o.parquet", tmp_path / "o" / "o.parquet"
    options = (place, tiny_artifact)
    undisturbed.parent.mkdir()
    out.parent.mkdir()
    chance = random.Random(5)
    begun = time.monotonic()
    assert run_forked(*options, undisturbed, None) == 0
    whole = time.monotonic() - begun
    expected = contents(undisturbed.parent)
    kills = 0
    while kills < 20:
        # From the start of a run or of its continuation, so that some get far and some nowhere.
        if run_forked(*options, out, chance.uniform(0, whole * chance.random())) == -signal.SIGKILL:
            kills += 1
        else:
            assert contents(out.parent) == expected
            for path in out.parent.iterdir():
                path.unlink()
    assert run_forked(*options, out, None) == 0
    assert contents(out.parent) == expected
    assert names(out.parent) == [
        *(f"o-{number:05}.parquet" for number in range(1, 5)),
        "o.parquet.errors.jsonl",
        "o.parquet.manifest.json",
    ]


def run_forked(place: Path, artifact: Path, out: Path, seconds: float | None) -> int:
    """Run in a process that has imported everything already; kill it after a time; return 0 if it was not."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["serving.batch.job", "openvino"])
    arguments = [str(place), str(out), "--model", str(artifact), "--shard", "150"]
    process = context.Process(target=job.main, args=(arguments,))
    process.start()
    process.join(seconds)
    if process.is_alive():
        process.kill()
        process.join()
    assert process.exitcode is not None
    return process.exitcode


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
        "import sys; from serving.batch.job import main; status = main(sys.argv[1:]); "
        "print(status, sorted({'torch', 'bentoml', 'transformers'} & set(sys.modules)))"
    )
    command = [sys.executable, "-c", code, str(place), str(tmp_path / "o.csv"), "--model", str(tiny_artifact)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "1 []"
