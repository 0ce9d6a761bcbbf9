"""What batch tagging finds to read: by name, folder and pattern, each file once, never its own output."""

import json
import os
from pathlib import Path

import pytest

from serving.batch.inputs import Source, fingerprint, list_sources, split_places

NEWS = "县委统战部召开民主党派座谈会，通报全县经济社会发展情况。"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def put(*names: str) -> None:
    for name in names:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{name} {NEWS}", encoding="utf-8")


def find(places: str, out: str = "out.csv") -> list[Source]:
    return list_sources(places, Path(out), Path("stdin"))


def names(places: str, out: str = "out.csv") -> list[str]:
    return [source.name for source in find(places, out)]


def test_a_folder_holds_articles_and_tables(folder: Path) -> None:
    put("in/b.txt", "in/deep/a.HTML", "in/t.CSV", "in/deep/p.parquet", "in/l.jsonl.gz", "in/d.docx", "in/x.pdf.zst")
    put("in/notes.doc", "in/a.json", "in/a.zip", "in/b.tar.gz", "in/c.gz")
    found = [
        "in/b.txt",
        "in/d.docx",
        "in/deep/a.HTML",
        "in/deep/p.parquet",
        "in/l.jsonl.gz",
        "in/t.CSV",
        "in/x.pdf.zst",
    ]
    assert names("in") == names("./in/") == found
    assert [source.name for source in find("in") if source.is_table] == [found[3], found[4], found[5]]
    assert names(str(folder / "in")) == [str(folder / name) for name in found]


def test_several_places_are_read_in_their_order_and_each_file_once() -> None:
    put("b.txt", "a.txt", "in/x y.md", "in/c.md", "in/deep/d.md")
    assert names("b.txt a.txt b.txt") == ["b.txt", "a.txt"]
    assert names("*.txt 'in/x y.md' in") == ["a.txt", "b.txt", "in/x y.md", "in/c.md", "in/deep/d.md"]
    assert names("in/**/*.md") == ["in/c.md", "in/deep/d.md", "in/x y.md"]
    assert names("i*") == ["in/c.md", "in/deep/d.md", "in/x y.md"]
    assert names("in/x y.md") == ["in/x y.md"]


def test_a_pattern_that_is_a_name_is_the_name() -> None:
    put("a[1].txt", "a1.txt")
    assert names("a[1].txt") == ["a[1].txt"]


def test_standard_input_is_its_copy() -> None:
    put("stdin", "a.txt")
    first, second = find("- a.txt")
    assert (first.name, first.path, first.is_table) == ("-", Path("stdin"), True)
    assert second.name == "a.txt"
    stamp = first.stamp
    put("stdin")
    assert find("-")[0].stamp == stamp


def test_what_runs_have_written_is_not_tagged_again() -> None:
    put(
        "a.jsonl",
        "out.csv",
        "out-00001.csv",
        "out-1.csv",
        "out.csv.errors.jsonl",
        "old.jsonl",
        "old.jsonl.errors.jsonl",
    )
    manifest = {"outputs": [{"path": "old.jsonl"}], "errors": {"path": "old.jsonl.errors.jsonl"}}
    Path("old.jsonl.manifest.json").write_text(json.dumps(manifest))
    Path("odd.manifest.json").write_text("[]")
    assert names(".") == names("*") == ["a.jsonl", "out-1.csv"]
    assert names("old.jsonl") == ["old.jsonl"]
    for name in ("out.csv", "./out-00001.csv", "out.csv.errors.jsonl"):
        with pytest.raises(ValueError, match=r"which this run would overwrite; give OUT another name"):
            find(name)


def test_the_same_file_under_another_name_is_marked() -> None:
    put("a.txt", "c.txt")
    Path("b.txt").symlink_to("a.txt")
    os.link("c.txt", "d.txt")
    assert [source.same_as for source in find(".")] == [None, "a.txt", None, "c.txt"]


@pytest.mark.parametrize(
    ("places", "message"),
    [
        ("nowhere", "nowhere: no such file or folder"),
        ("a.txt nowhere", "nowhere: no such file or folder"),
        ("'a.txt", "IN is 'a.txt: No closing quotation; put names with blanks in quotes"),
        ("scan.doc", r"scan\.doc: cannot be tagged; expected a file of \.txt .* \.parquet .*, or a folder"),
        ("empty", r"empty: no file to tag there; expected files of \.txt"),
        ("*.parquet", r"\*\.parquet: no file to tag there"),
    ],
)
def test_there_must_be_something_to_read(places: str, message: str) -> None:
    put("a.txt", "scan.doc", "empty/list.json")
    with pytest.raises((FileNotFoundError, ValueError), match=message):
        find(places)


def test_names_are_split_as_a_shell_does() -> None:
    assert split_places('a "b c" - d*') == ["a", "b c", "-", "d*"]


def test_fingerprint_sees_every_change() -> None:
    seen = []
    put("in/a.txt")
    seen.append(fingerprint(find("in")))
    assert fingerprint(find("in")) == seen[0]
    os.utime("in/a.txt", ns=(1, 1))
    seen.append(fingerprint(find("in")))
    put("in/b.txt")
    seen.append(fingerprint(find("in")))
    Path("in/b.txt").rename("in/c.txt")
    seen.append(fingerprint(find("in")))
    assert len(set(seen)) == 4
