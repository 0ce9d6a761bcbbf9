from pathlib import Path

import pytest
from conftest import SEEDS

from data.new_articles import add_articles, main
from data.paragraphs import source_files

ARTICLE = "市里开大会\n\n近日，全市安全生产工作会议召开，部署下一阶段工作。\n\n会议要求，各县区要压实责任，排查整治隐患，确保全年平稳。\n"
OTHER = "柳河村的直播间\n\n昨天一早，柳河村村民在直播间里卖出了三千斤蜜桔，带货的是村支书。\n"


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    folder = tmp_path / "seeds"
    folder.mkdir()
    return folder


@pytest.fixture
def inbox(tmp_path: Path) -> Path:
    folder = tmp_path / "inbox"
    (folder / "more").mkdir(parents=True)
    return folder


def test_articles_are_copied_byte_by_byte(seeds: Path, inbox: Path) -> None:
    raw = ARTICLE.replace("\n", "\r\n").encode("gb18030")
    (inbox / "a.txt").write_bytes(raw)
    (inbox / "more" / "b.md").write_text(OTHER, encoding="utf-8")
    found = add_articles([inbox], seeds)
    assert found.added == (seeds / "a.txt", seeds / "b.md")
    assert (found.left_out, found.refused) == ((), ())
    assert (seeds / "a.txt").read_bytes() == raw
    assert sorted(path.name for path in seeds.iterdir()) == ["a.txt", "b.md"]


def test_a_second_time_nothing_is_added(seeds: Path, inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (inbox / "a.txt").write_text(ARTICLE, encoding="utf-8")
    assert main([str(inbox), "--seeds", str(seeds)]) == 0
    assert main([str(inbox / "a.txt"), "--seeds", str(seeds)]) == 0
    out = capsys.readouterr().out
    assert f"added: {seeds / 'a.txt'}\n1 added" in out
    assert f"left out: {inbox / 'a.txt'}: the same file as {seeds / 'a.txt'}\n0 added, 1 left out, 0 refused" in out


def test_nearly_the_same_text_is_left_out_in_any_format(seeds: Path, inbox: Path) -> None:
    (seeds / "there.txt").write_text(ARTICLE, encoding="utf-8")
    edited = ARTICLE.replace("近日", "日前").replace("\n\n", "</p><p>")
    (inbox / "a.html").write_text(f"<html><body><article><p>{edited}</p></article></body></html>", encoding="utf-8")
    found = add_articles([inbox], seeds)
    assert found.added == ()
    assert f"of its text stands in {seeds / 'there.txt'}" in found.left_out[0]


def test_new_articles_are_compared_with_each_other(seeds: Path, inbox: Path) -> None:
    for name in ("a.txt", "b.txt"):
        (inbox / name).write_text(ARTICLE, encoding="utf-8")
    found = add_articles([inbox], seeds)
    assert found.added == (seeds / "a.txt",)
    assert "the same file as" in found.left_out[0]


def test_a_page_that_holds_an_article_and_more_is_new(seeds: Path, inbox: Path) -> None:
    (seeds / "there.txt").write_text(ARTICLE, encoding="utf-8")
    (inbox / "page.txt").write_text(ARTICLE + "\n" + OTHER + "\n" + OTHER.replace("柳河", "石埠"), encoding="utf-8")
    assert add_articles([inbox], seeds).added == (seeds / "page.txt",)


def test_nothing_is_overwritten(seeds: Path, inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (seeds / "a.txt").write_text(ARTICLE, encoding="utf-8")
    (inbox / "a.txt").write_text(OTHER, encoding="utf-8")
    (inbox / "b.txt").write_text(OTHER.replace("柳河", "石埠").replace("蜜桔", "山核桃") * 2, encoding="utf-8")
    assert main([str(inbox), "--seeds", str(seeds)]) == 1
    assert "is another article of that name; rename the file and add it again" in capsys.readouterr().err
    assert (seeds / "a.txt").read_text(encoding="utf-8") == ARTICLE
    assert (seeds / "b.txt").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\xff\xff\x00\x81", "save it as UTF-8 text"),
        ("a.txt", b"", "no paragraph in it"),
        ("a.txt", b"hello, world", "no paragraph in it"),
        ("a.docx.zip", ARTICLE.encode(), "not an article file"),
        ("a\tb.txt", ARTICLE.encode(), "rename it"),
    ],
)
def test_what_cannot_be_used_is_refused(seeds: Path, inbox: Path, name: str, content: bytes, message: str) -> None:
    (inbox / name).write_bytes(content)
    found = add_articles([inbox / name], seeds)
    assert found.added == () and message in found.refused[0]
    assert list(seeds.iterdir()) == []


def test_other_files_of_a_folder_are_left_out(seeds: Path, inbox: Path) -> None:
    (inbox / "photo.jpg").write_bytes(b"\xff\xd8")
    (inbox / ".DS_Store").write_bytes(b"\0")
    (inbox / "a.txt").write_text(ARTICLE, encoding="utf-8")
    found = add_articles([inbox], seeds)
    assert len(found.added) == 1 and found.refused == ()
    assert len(found.left_out) == 1 and "photo.jpg: not an article" in found.left_out[0]


def test_a_copy_that_was_stopped_is_no_article_and_is_copied_anew(seeds: Path, inbox: Path) -> None:
    (inbox / "a.txt").write_text(ARTICLE, encoding="utf-8")
    (seeds / "a.txt.partial").write_text(ARTICLE[:10], encoding="utf-8")
    assert source_files(seeds) == []
    assert add_articles([inbox], seeds).added == (seeds / "a.txt",)
    assert (seeds / "a.txt").read_text(encoding="utf-8") == ARTICLE
    assert [path.name for path in seeds.iterdir()] == ["a.txt"]


def test_a_missing_place_is_an_error(seeds: Path, inbox: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(inbox / "none.txt"), "--seeds", str(seeds)]) == 1
    assert main([str(inbox), "--seeds", str(seeds / "none")]) == 1
    err = capsys.readouterr().err
    assert "none.txt: no such file or folder" in err and "none: no such folder" in err


def test_no_seed_is_taken_for_another(seeds: Path) -> None:
    assert len(add_articles(SEEDS, seeds).added) == len(SEEDS)
