"""Sources of batch tagging: what is found, how it is cut into units, what is refused and why."""

import json
import os
import tracemalloc
from pathlib import Path

import pytest

from serving.inputs import MAX_ARTICLE_BYTES, MAX_LINE_BYTES, Position, Unit, fingerprint, list_sources, read_units

NEWS = "县委统战部召开民主党派座谈会，通报全县经济社会发展情况。"


def read_all(place: Path, start: Position | None = None) -> list[Unit]:
    return list(read_units(list_sources(place), start or Position()))


def write_lines(path: Path, n: int) -> Path:
    path.write_text("".join(json.dumps({"id": f"p{i}", "text": f"{NEWS}{i}"}) + "\n" for i in range(n)))
    return path


def test_articles_keep_the_path_as_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    (tmp_path / "in" / "b.txt").write_text(f"{NEWS}\n\n{NEWS}又开一次。\n", encoding="utf-8")
    (tmp_path / "in" / "deep" / "a.HTML").write_text(f"<article><p>{NEWS}</p></article>", encoding="utf-8")
    (tmp_path / "in" / "deep" / "c.md").write_text(f"# 标题\n\n{NEWS}\n", encoding="utf-8")
    (tmp_path / "in" / "notes.pdf").write_bytes(b"%PDF")
    monkeypatch.chdir(tmp_path)
    units = read_all(Path("./in"))
    assert [(p.id, p.article, p.index) for unit in units for p in unit.paragraphs] == [
        ("in/b.txt#0", "in/b.txt", 0),
        ("in/b.txt#1", "in/b.txt", 1),
        ("in/deep/a.HTML#0", "in/deep/a.HTML", 0),
        ("in/deep/c.md#0", "in/deep/c.md", 0),
    ]
    assert [unit.end for unit in units] == [Position(1), Position(2), Position(3)]


def test_lines_are_taken_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    path.write_text(
        '\ufeff{"id": "a", "text": "第一段\\n\\n第二段", "date": 1}\n\n{"id": "b", "text": " x "}', encoding="utf-8"
    )
    (first, second) = read_all(path)[0].paragraphs
    assert (first.id, first.text, first.index, first.spans) == ("a", "第一段\n\n第二段", 0, ((0, 8),))
    assert (second.id, second.text, second.index, second.headline) == ("b", " x ", 2, "")
    assert first.article == second.article == path.as_posix()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"id": "a", "text": "x"', "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"id": ' + b"9" * 5000 + b', "text": "x"}', "not JSON"),
        (b'["a", "x"]', 'write {"id": …, "text": …}'),
        (b'{"text": "x"}', "'id' is missing"),
        (b'{"id": "a"}', "'text' is missing"),
        (b'{"id": 7, "text": "x"}', "'id' is 7; write it as a JSON string"),
        (b'{"id": "a", "text": ["x"]}', "'text' is ['x']; write it"),
        (b'{"id": "a", "text": null}', "'text' is None"),
        (b'{"id": " ", "text": "x"}', "'id' is blank"),
        ('{"id": "a", "text": "\u3000\\n"}'.encode(), "'text' is blank"),
        (b'{"id": "a", "text": "x\\ud800"}', "'text' holds half a surrogate pair"),
        (b'{"id": "\\udfff", "text": "x"}', "'id' holds half a surrogate pair"),
        ('{"id": "a", "text": "县委"}'.encode("gbk"), "not UTF-8"),
        (b'{"id": "a", "text": "' + b"x" * MAX_LINE_BYTES * 3 + b'"}', "longer than"),
    ],
)
def test_bad_line_is_reported_and_the_next_is_read(tmp_path: Path, line: bytes, reason: str) -> None:
    path = tmp_path / "in.jsonl"
    path.write_bytes(b"\n" + line + b'\n{"id": "good", "text": "x"}\n')
    units = read_all(path)
    (problem,) = [problem for unit in units for problem in unit.problems]
    assert (problem.source, problem.line) == (str(path), 2)
    assert reason in problem.reason
    assert len(problem.reason) < 200
    assert [(p.id, p.index) for unit in units for p in unit.paragraphs] == [("good", 2)]


def test_longest_line_is_read(tmp_path: Path) -> None:
    path = tmp_path / "in.jsonl"
    line = b'{"id": "a", "text": "' + b"x" * (MAX_LINE_BYTES - 24) + b'"}\n'
    assert len(line) == MAX_LINE_BYTES
    path.write_bytes(line * 3)
    units = read_all(path)
    assert [len(unit.paragraphs) for unit in units] == [1, 1, 1, 0]
    assert not any(unit.problems for unit in units)


def test_units_are_bounded_and_read_one_at_a_time(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", 600)
    units = read_units(list_sources(path), Position())
    first = next(units)
    assert (len(first.paragraphs), first.end) == (256, Position(0, first.size, 256))
    assert [len(unit.paragraphs) for unit in units] == [256, 88, 0]


def test_memory_does_not_grow_with_the_input(tmp_path: Path) -> None:
    def peak(n: int) -> int:
        sources = list_sources(write_lines(tmp_path / "in.jsonl", n))
        tracemalloc.start()
        for _ in read_units(sources, Position()):
            pass
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    assert peak(20_000) < 1.5 * peak(1_000)


def test_reading_goes_on_from_the_end_of_any_unit(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "in.jsonl", 600)
    units = read_all(path)
    assert units[-1].end == Position(1)
    for place, unit in enumerate(units):
        assert read_all(path, unit.end) == units[place + 1 :]


def test_unreadable_articles_are_reported(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(NEWS, encoding="utf-8")
    (tmp_path / "b.txt").write_bytes(b"\x00\x01\xff")
    with (tmp_path / "c.txt").open("wb") as file:
        file.truncate(MAX_ARTICLE_BYTES + 1)
    (tmp_path / "d.txt").symlink_to("a.txt")
    (tmp_path / "e.md").touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/f\xb1\xea.txt")).write_text(NEWS, encoding="utf-8")
    sources = list_sources(tmp_path)
    (tmp_path / "a.txt").rename(tmp_path / "z.txt")
    units = list(read_units(sources, Position()))
    reasons = {problem.source: problem.reason for unit in units for problem in unit.problems}
    assert [Path(source).name for source in reasons] == ["a.txt", "b.txt", "c.txt", "d.txt", "f\\udcb1\\udcea.txt"]
    assert [unit.end.sources for unit in units] == [1, 2, 3, 4, 5, 6]
    for reason, expected in zip(
        reasons.values(),
        ["No such file", "not text in UTF-8", "split the file", "a.txt, which is tagged already", "rename it"],
        strict=True,
    ):
        assert expected in reason


def test_there_must_be_something_to_read(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "scan.pdf").touch()
    (tmp_path / "empty" / "list.jsonl").touch()
    with pytest.raises(FileNotFoundError, match="nowhere: no such file or folder"):
        list_sources(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"scan\.pdf: cannot be tagged; expected a file of \.txt .* \.jsonl"):
        list_sources(tmp_path / "scan.pdf")
    with pytest.raises(ValueError, match=r"empty: no article file in this folder; expected files of \.txt"):
        list_sources(tmp_path / "empty")


def test_fingerprint_sees_every_change(tmp_path: Path) -> None:
    seen = []
    (tmp_path / "a.txt").write_text("x")
    seen.append(fingerprint(list_sources(tmp_path)))
    assert fingerprint(list_sources(tmp_path)) == seen[0]
    os.utime(tmp_path / "a.txt", ns=(1, 1))
    seen.append(fingerprint(list_sources(tmp_path)))
    (tmp_path / "b.txt").write_text("x")
    seen.append(fingerprint(list_sources(tmp_path)))
    (tmp_path / "b.txt").rename(tmp_path / "c.txt")
    seen.append(fingerprint(list_sources(tmp_path)))
    assert len(set(seen)) == 4
