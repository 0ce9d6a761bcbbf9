"""Units: bounded, of any kinds of sources, and the same wherever reading goes on."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from data.sources import MAX_ARTICLE_BYTES
from models.artifact import file_hash
from serving.batch.inputs import list_sources
from serving.batch.tables import Columns
from serving.batch.units import Position, Unit, read_units

NEWS = "县委统战部召开民主党派座谈会，通报全县经济社会发展情况。"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read_all(places: str, start: Position | None = None) -> list[Unit]:
    return list(read_units(list_sources(places, Path("o.csv"), Path("s")), start or Position(), Columns()))


def write_lines(path: Path, n: int) -> None:
    path.write_text("".join(json.dumps({"id": f"p{i}", "text": f"{NEWS}{i}"}) + "\n" for i in range(n)))


def mixed() -> None:
    Path("in").mkdir()
    for i in range(30):
        Path(f"in/{i:02}.txt").write_text("\n\n".join(f"{i}，{j}，{NEWS}" for j in range(20)), encoding="utf-8")
    write_lines(Path("in/10.jsonl"), 700)
    Path("in/20.csv").write_text("id,text\n" + "".join(f"c{i},{NEWS}{i}\n" for i in range(300)), encoding="utf-8")
    Path("in/05.txt").write_bytes(b"\0")
    Path("in/06.txt").write_text("")
    Path("in/25.csv").write_text("nothing\n")


def test_units_hold_articles_and_tables_in_order() -> None:
    mixed()
    units = read_all("in")
    assert all(256 <= unit.rows < 276 for unit in units[:-1])
    ids = [paragraph.id for unit in units for paragraph in unit.paragraphs]
    assert len(ids) == len(set(ids)) == 28 * 20 + 700 + 300
    assert ids == sorted(ids, key=lambda name: ("c" in name and "csv" in name, ids.index(name)))
    assert [p.article for unit in units for p in unit.paragraphs] == sorted(
        p.article for unit in units for p in unit.paragraphs
    )
    assert sum(unit.without_paragraph for unit in units) == 1
    assert [problem.source for unit in units for problem in unit.problems] == ["in/05.txt", "in/25.csv"]
    finished = [source for unit in units for source in unit.finished]
    assert [source.path for source in finished] == sorted(path.as_posix() for path in Path("in").iterdir())
    assert all((s.bytes, s.sha256) == (Path(s.path).stat().st_size, file_hash(Path(s.path))) for s in finished)
    assert sum(unit.size for unit in units) == sum(source.bytes for source in finished)
    assert units[-1].end == Position(33)


def test_reading_goes_on_from_the_end_of_any_unit() -> None:
    mixed()
    units = read_all("in")
    for place, unit in enumerate(units):
        rest = read_all("in", unit.end)
        for again, before in zip(rest, units[place + 1 :], strict=True):
            # The size tells the progress, and only about.
            again.size = before.size
            assert again == before


def test_memory_does_not_grow_with_the_input() -> None:
    def peak(n: int) -> int:
        write_lines(Path("in.jsonl"), n)
        sources = list_sources("in.jsonl", Path("o.csv"), Path("s"))
        tracemalloc.start()
        for _ in read_units(sources, Position(), Columns()):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    # Beyond the sample of the encoding.
    assert peak(60_000) < 1.2 * peak(15_000)


def test_long_paragraphs_end_a_unit_early() -> None:
    Path("in.jsonl").write_text("".join(json.dumps({"text": "x" * 2**19}) + "\n" for _ in range(5)))
    assert [len(unit.paragraphs) for unit in read_all("in.jsonl")] == [2, 2, 1]


def test_unreadable_sources_are_reported(tmp_path: Path) -> None:
    folder = Path("in")
    folder.mkdir()
    (folder / "a.txt").write_text(NEWS, encoding="utf-8")
    (folder / "b.txt").write_bytes(b"\x00\x01\xff")
    with (folder / "c.txt").open("wb") as file:
        file.truncate(MAX_ARTICLE_BYTES + 1)
    (folder / "d.txt").symlink_to("a.txt")
    write_lines(folder / "e.jsonl", 3)
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/in/f\xb1\xea.txt")).write_text(NEWS, encoding="utf-8")
    write_lines(folder / "g.jsonl", 3)
    sources = list_sources("in", Path("o.csv"), Path("s"))
    (folder / "a.txt").rename("z.txt")
    write_lines(folder / "g.jsonl", 2)
    (unit,) = read_units(sources, Position(), Columns())
    expected = {
        "in/a.txt": "No such file",
        "in/b.txt": "not text in UTF-8",
        "in/c.txt": "split the file",
        "in/d.txt": "a.txt, which is tagged already",
        "in/f\\udcb1\\udcea.txt": "rename it",
        "in/g.jsonl": "written to while it was read",
    }
    assert [problem.source for problem in unit.problems] == list(expected)
    for problem in unit.problems:
        assert expected[problem.source] in problem.reason
    assert len(unit.paragraphs) == 3 + 2
    assert unit.finished[0].sha256 is None
