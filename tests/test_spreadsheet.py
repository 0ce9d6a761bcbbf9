import csv
import io
from pathlib import Path

import pytest

from data.review.judgements import ReviewItem, is_same_text
from data.review.spreadsheet import read_csv, write_csv
from data.topics import Topic, load_topics

TOPICS = load_topics()
ITEMS = [
    ReviewItem(
        "seeds/a.txt#0", '他说："好，\n就这样；办。"', "unsure", None, ("party_building",), {"party_building": 0.55}
    ),
    ReviewItem("seeds/a.txt#1", "=今日要闻，十条", "random", (), (), {"party_building": 0.1}),
    ReviewItem("seeds/b.txt#0", "直播带货帮农户", "contradicted", ("e_commerce",), ("rural_revitalization",), {}),
]


def rows_of(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.reader(file))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write_csv(ITEMS, TOPICS, tmp_path / "review.csv")
    return tmp_path / "review.csv"


def fill(path: Path, *answers: str) -> list[list[str]]:
    rows = rows_of(path)
    column = next(place for place, head in enumerate(rows[0]) if head.startswith("topics"))
    for row, answer in zip(rows[1:], answers, strict=True):
        row[column] = answer
    return rows


def save(path: Path, rows: list[list[str]], encoding: str = "utf-8-sig", delimiter: str = ",") -> None:
    buffer = io.StringIO(newline="")
    csv.writer(buffer, delimiter=delimiter).writerows(rows)
    path.write_bytes(buffer.getvalue().encode(encoding))


def test_excel_knows_the_encoding_and_the_suggestions_stand_beside(path: Path) -> None:
    assert path.read_bytes().startswith(b"\xef\xbb\xbf")
    head, first, second, third = rows_of(path)
    assert [cell.split()[0] for cell in head[:7]] == ["id", "why", "text", "annotated", "suggested", "topics", "note"]
    assert head[7:] == [f"{topic.name} 概率" for topic in TOPICS]
    assert first[3:7] == ["", "党建", "", ""] and first[9] == "0.55"
    assert second[2] == "'=今日要闻，十条" and second[3:5] == ["无", "无"]
    assert third[3:5] == ["电商", "乡村振兴"] and third[7:] == [""] * 5


def test_an_untouched_file_comes_back_unfilled(path: Path) -> None:
    found = read_csv(path, TOPICS)
    assert found.problems == ()
    assert [one.id for one in found.judgements] == [item.id for item in ITEMS]
    assert [one.annotated for one in found.judgements] == [item.annotated for item in ITEMS]
    assert all(one.topics is None for one in found.judgements)
    assert all(is_same_text(one.text, item.text) for one, item in zip(found.judgements, ITEMS, strict=True))


@pytest.mark.parametrize(
    ("encoding", "delimiter"),
    [("utf-8-sig", ","), ("utf-8", ";"), ("gb18030", ","), ("gbk", ";"), ("utf-16", "\t"), ("gb18030", "\t")],
)
def test_answers_come_back_as_excel_saves_them(path: Path, encoding: str, delimiter: str) -> None:
    save(path, fill(path, "党建、电商", "无", ""), encoding, delimiter)
    found = read_csv(path, TOPICS)
    assert found.problems == ()
    assert [one.topics for one in found.judgements] == [("party_building", "e_commerce"), (), None]
    assert is_same_text(found.judgements[0].text, ITEMS[0].text)


def test_columns_may_be_moved_and_added_and_rows_left_empty(path: Path) -> None:
    rows = fill(path, "党建", "无", "电商")
    rows = [["", *reversed(row), "extra"] for row in rows]
    width = len(rows[0])
    save(path, [*rows[:2], [""] * width, *rows[2:], [""] * width, [], [" "] * width])
    found = read_csv(path, TOPICS)
    assert [(one.where, one.id) for one in found.judgements] == [
        ("row 2", "seeds/a.txt#0"),
        ("row 4", "seeds/a.txt#1"),
        ("row 5", "seeds/b.txt#0"),
    ]
    assert found.problems == ()


def test_wrong_rows_are_named_and_the_others_count(path: Path) -> None:
    rows = fill(path, "党建", "天气", "电商")
    rows[3][0] = ""
    save(path, rows)
    found = read_csv(path, TOPICS)
    assert [one.id for one in found.judgements] == ["seeds/a.txt#0"]
    assert "review.csv, row 3, column 'topics': unknown topic '天气'" in found.problems[0]
    assert "review.csv, row 4, column 'id': it is empty; put back" in found.problems[1]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "give a file that 'make review' wrote"),
        ("a,b\n1,2\n", "column 'id' is missing"),
        ("id,text,topics\n", "column 'annotated' is missing"),
        ("id,id,text,annotated,topics\n", "column 'id' stands there twice"),
        ('id,text,annotated,topics\n1,"open', "save it as 'CSV UTF-8' again"),
        ("PK\x03\x04", "an Excel workbook"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "x.csv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError) as error:
        read_csv(path, TOPICS)
    assert message in str(error.value) and str(path) in str(error.value)


def test_a_note_of_several_lines_comes_back(path: Path) -> None:
    rows = fill(path, "党建", "", "")
    rows[1][6] = "第一行\n第二行"
    save(path, rows)
    assert read_csv(path, [*TOPICS, Topic("new", "志愿服务", "")]).judgements[0].note == "第一行\n第二行"
