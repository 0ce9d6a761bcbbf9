import json
import random
from pathlib import Path
from typing import Any

import pytest
from conftest import SEEDS
from sklearn.metrics import cohen_kappa_score

from data.annotations import (
    DEFAULT_ANNOTATIONS,
    Agreement,
    Annotation,
    cohen_kappa,
    load_annotation_files,
    load_annotations,
    main,
    measure_agreement,
)
from data.paragraphs import read_articles
from data.sources import read_source
from data.topics import DEFAULT_TOPICS, load_topics

TOPICS = load_topics()
KNOWN = "united_front, safety_inspection, party_building, rural_revitalization, e_commerce"
SOURCE = "标题在这里\n\n近日，全市安全生产工作会议召开，部署下一阶段工作。\n"
TEXT = "近日，全市安全生产工作会议召开，部署下一阶段工作。"
SPAN = [7, 7 + len(TEXT)]


def row(**changes: Any) -> dict[str, Any]:
    """A valid line; a change to None takes the key out."""
    entry: dict[str, Any] = {
        "id": "seeds/a.txt#0",
        "source": "seeds/a.txt",
        "article": "seeds/a.txt#1",
        "index": 0,
        "text": TEXT,
        "spans": [SPAN],
        "topics": ["safety_inspection"],
        "annotators": 2,
        "agreed": True,
        "origin": "seed",
    }
    entry.update(changes)
    return {key: value for key, value in entry.items() if value is not None}


def written(number: int, **changes: Any) -> dict[str, Any]:
    return row(
        **{"id": f"w{number}", "text": f"第{number}段写出来的文字。", "spans": None, "origin": "written", **changes}
    )


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository of one article."""
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "a.txt").write_text(SOURCE, encoding="utf-8")
    return tmp_path


def load(root: Path, *lines: dict[str, Any] | str) -> list[Annotation]:
    path = root / "annotations.jsonl"
    text = [line if isinstance(line, str) else json.dumps(line, ensure_ascii=False) for line in lines]
    path.write_text("\n".join(text) + "\n", encoding="utf-8")
    return load_annotations(path, TOPICS, root)


def test_shipped_annotations_are_valid() -> None:
    annotations = load_annotations(DEFAULT_ANNOTATIONS, TOPICS)
    seeds = [annotation for annotation in annotations if annotation.origin == "seed"]
    # More, once corrections of articles that were added have come in.
    assert {annotation.source for annotation in seeds} >= {f"seeds/{path.name}" for path in SEEDS}
    assert all(any(topic.id in annotation.topics for annotation in annotations) for topic in TOPICS)
    assert any(not annotation.topics for annotation in annotations)


@pytest.mark.parametrize("path", SEEDS, ids=lambda path: path.name[:3])
def test_shipped_annotations_are_the_paragraphs_that_are_read_today(path: Path) -> None:
    annotations = load_annotations(DEFAULT_ANNOTATIONS, TOPICS)
    mine = [a for a in annotations if a.source == f"seeds/{path.name}"]
    reading = read_articles(read_source(path))
    assert {a.spans: (a.text, a.index, a.article) for a in mine} == {
        paragraph.spans: (paragraph.text, paragraph.index, f"seeds/{path.name}#{article.number}")
        for article in reading.articles
        for paragraph in article.paragraphs
    }


def test_a_valid_line_is_read(root: Path) -> None:
    (annotation,) = load(root, row(topics=["e_commerce", "united_front"], votes=[["e_commerce"], []]))
    assert annotation == Annotation(
        id="seeds/a.txt#0",
        source="seeds/a.txt",
        article="seeds/a.txt#1",
        index=0,
        text=TEXT,
        topics=("united_front", "e_commerce"),
        annotators=2,
        agreed=True,
        origin="seed",
        spans=((7, 7 + len(TEXT)),),
        votes=(("e_commerce",), ()),
    )


def test_blank_lines_are_skipped_and_line_separators_in_a_text_do_not_end_it(root: Path) -> None:
    annotations = load(root, "", written(1, text="写出来的\u2028一段\x85文字"), "  ", written(2), "\r")
    assert [annotation.id for annotation in annotations] == ["w1", "w2"]
    assert annotations[0].text == "写出来的\u2028一段\x85文字"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (row(topics=["e_comerce"]), "unknown topic 'e_comerce'; did you mean 'e_commerce'?"),
        (row(topics=["体育"]), f"unknown topic '体育'; known are {KNOWN}"),
        (row(votes=[["party_bilding"], []]), "unknown topic 'party_bilding'; did you mean 'party_building'?"),
        (
            row(topics=["e_commerce", "e_commerce"]),
            "a topic is given twice in ['e_commerce', 'e_commerce']; remove one",
        ),
        (row(topics=[3]), "topics are [3]; expected a list of topic ids"),
        (row(topics="e_commerce"), "'topics' is 'e_commerce'; expected list"),
        (row(votes=["e_commerce"]), "topics are 'e_commerce'; expected a list of topic ids"),
        (
            row(text="近日，会议召开。"),
            f"'seeds/a.txt' says {TEXT[:20]!r}… at the spans, not '近日，会议召开。'…; correct 'spans' or 'text'",
        ),
        (
            row(spans=[[6, 10]]),
            f"'seeds/a.txt' says '近日，'… at the spans, not {TEXT[:20]!r}…; correct 'spans' or 'text'",
        ),
        (row(spans=[[7, 999]]), f"span [7, 999] lies outside 'seeds/a.txt' of {len(SOURCE)} characters"),
        (row(spans=[[9, 9]]), f"span [9, 9] lies outside 'seeds/a.txt' of {len(SOURCE)} characters"),
        (row(spans=[[-3, 5]]), f"span [-3, 5] lies outside 'seeds/a.txt' of {len(SOURCE)} characters"),
        (row(spans=[[1]]), "'spans' must be a list of [start, end] character offsets"),
        (row(spans=[[1.0, 2]]), "'spans' must be a list of [start, end] character offsets"),
        (row(spans="7-9"), "'spans' must be a list of [start, end] character offsets"),
        (row(source="seeds/b.txt"), "source 'seeds/b.txt' cannot be read; restore the file or correct the path"),
        (row(source="seeds"), "source 'seeds' cannot be read; restore the file or correct the path"),
        (
            row(text=None),
            "'text' is missing; every annotation has "
            "id, source, article, index, text, topics, annotators, agreed, origin",
        ),
        (row(text=" \u3000\n"), "'text' is blank; remove the line or give the paragraph"),
        (row(text=5), "'text' is 5; expected str"),
        (row(index="0"), "'index' is '0'; expected int"),
        (row(annotators=True), "'annotators' is True; expected int"),
        (row(agreed=1), "'agreed' is 1; expected bool"),
        (row(origin="web"), "origin 'web' is unknown; use one of seed, written"),
        (row(label=1), "unknown key 'label'; remove it"),
        ("[1, 2]", 'not a JSON object; write {"id": …, "text": …, "topics": […]}'),
        ('{"id": ', "not JSON (Expecting value: line 1 column 8 (char 7)); write one object a line"),
    ],
    ids=lambda value: "" if isinstance(value, dict) else None,
)
def test_a_wrong_line_is_refused(line: dict[str, Any] | str, message: str, root: Path) -> None:
    with pytest.raises(ValueError) as error:
        load(root, written(1), line)
    assert str(error.value) == f"{root / 'annotations.jsonl'}:2: {message}"


def test_repeated_ids_are_refused(root: Path) -> None:
    with pytest.raises(ValueError) as error:
        load(root, row(), written(1), written(1, text="另一段写出来的文字。"))
    assert str(error.value) == f"{root / 'annotations.jsonl'}:3: id 'w1' stands already on line 2; give it another id"


def test_files_put_together_must_not_contradict_each_other(root: Path) -> None:
    first, second = root / "first.jsonl", root / "second.jsonl"
    same = {"text": "同一段文字出现在两个文件里。", "topics": ["e_commerce"]}
    first.write_text(json.dumps(written(1, **same)) + "\n", encoding="utf-8")
    second.write_text(json.dumps(written(2, **same)) + "\n", encoding="utf-8")
    assert len(load_annotation_files([first, second], load_topics())) == 2
    second.write_text(json.dumps(written(1, text=same["text"], topics=[])) + "\n", encoding="utf-8")
    with pytest.raises(ValueError) as error:
        load_annotation_files([first, second], load_topics())
    assert str(error.value).splitlines() == [
        "id 'w1' is given in two of first.jsonl, second.jsonl; give one of them another id",
        "'w1' and 'w1' have the same text but topics ['e_commerce'] and []; settle which are right",
    ]


def test_a_paragraph_without_spans_needs_no_source_file(root: Path) -> None:
    (annotation,) = load(root, row(spans=None, source="nowhere.txt"))
    assert annotation.spans == ()


def test_wrong_lines_are_reported_together_but_no_more_than_twenty(root: Path) -> None:
    with pytest.raises(ValueError) as error:
        load(root, *["{}"] * 30)
    assert [line.split(":")[1] for line in str(error.value).splitlines()] == [str(n) for n in range(1, 21)]


def test_an_empty_file_is_refused(root: Path) -> None:
    with pytest.raises(ValueError) as error:
        load(root, "", " ")
    assert str(error.value) == f"{root / 'annotations.jsonl'}: no annotation in it; write one JSON object a line"


def test_a_missing_file_and_other_encodings_are_refused(root: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        load_annotations(root / "none.jsonl", TOPICS, root)
    assert str(error.value) == f"{root / 'none.jsonl'}: no such annotation file"
    (root / "gb.jsonl").write_bytes("统一战线".encode("gb18030"))
    with pytest.raises(ValueError, match=r"gb\.jsonl: not UTF-8 text: "):
        load_annotations(root / "gb.jsonl", TOPICS, root)


def test_offsets_of_html_sources_resolve_references(root: Path) -> None:
    (root / "seeds" / "a.html").write_text("<p>A&amp;B公司今日开业</p>", encoding="utf-8")
    (annotation,) = load(root, row(source="seeds/a.html", text="A&B公司今日开业", spans=[[3, 16]]))
    assert annotation.text == "A&B公司今日开业"


@pytest.mark.parametrize(
    ("first", "second", "kappa"),
    [
        # 20 yes by both, 5 and 10 by one, 15 no by both: observed 0.7, by chance 0.5.
        ([True] * 25 + [False] * 25, [True] * 20 + [False] * 5 + [True] * 10 + [False] * 15, 0.4),
        ([True, False], [True, False], 1.0),
        ([True, False], [False, True], -1.0),
        ([True, True, False, False], [True, False, True, False], 0.0),
        ([False, False], [False, False], 1.0),
        ([], [], 1.0),
    ],
)
def test_cohen_kappa_by_hand(first: list[bool], second: list[bool], kappa: float) -> None:
    assert cohen_kappa(first, second) == pytest.approx(kappa)


def test_cohen_kappa_equals_scikit_learn() -> None:
    random.seed(3)
    for share in (0.05, 0.3, 0.5, 0.9):
        first = [random.random() < share for _ in range(200)]
        second = [a if random.random() < 0.8 else random.random() < share for a in first]
        assert cohen_kappa(first, second) == pytest.approx(cohen_kappa_score(first, second))


def test_agreement_is_measured_on_the_first_two_votes(root: Path) -> None:
    votes = [
        [["united_front"], ["united_front", "e_commerce"]],
        [["united_front"], []],
        [[], [], ["united_front"]],
        [["e_commerce"], ["e_commerce"]],
        [["united_front"]],
    ]
    annotations = load(root, *[written(n, votes=vote) for n, vote in enumerate(votes)])
    agreement = {row.topic: row for row in measure_agreement(annotations, TOPICS)}
    assert agreement["united_front"] == Agreement("united_front", both=1, one=1, kappa=pytest.approx(0.5))
    assert agreement["e_commerce"] == Agreement("e_commerce", both=1, one=1, kappa=pytest.approx(0.5))
    assert agreement["party_building"] == Agreement("party_building", both=0, one=0, kappa=1.0)


def test_command_prints_counts_and_agreement(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    printed = capsys.readouterr().out
    n = len(load_annotations(DEFAULT_ANNOTATIONS, TOPICS))
    assert f"annotations.jsonl: {n} paragraphs of " in printed
    assert [f"| `{topic.id}` | " in printed for topic in TOPICS] == [True] * len(TOPICS)


def test_command_says_what_is_wrong(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = root / "bad.jsonl"
    path.write_text("{}\n", encoding="utf-8")
    assert main(["--annotations", str(path), "--topics", str(DEFAULT_TOPICS)]) == 1
    assert capsys.readouterr().err.startswith(f"{path}:1: 'id' is missing; ")
    assert main(["--topics", str(root / "none.toml")]) == 1
    assert capsys.readouterr().err == f"{root / 'none.toml'}: no such topics file\n"
