from datetime import date
from pathlib import Path

import pytest

from data.topics import Topic, load_topics

ONE = '[[topic]]\nid = "sport"\nname = "体育"\ndefinition = "体育赛事与健身。"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "topics.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_shipped_topics() -> None:
    topics = load_topics()
    assert [(topic.id, topic.name) for topic in topics] == [
        ("united_front", "统一战线"),
        ("safety_inspection", "安全生产与监管检查"),
        ("party_building", "党建"),
        ("rural_revitalization", "乡村振兴"),
        ("e_commerce", "电商"),
    ]
    assert all(topic.definition and topic.phrases and topic.keywords for topic in topics)


def test_phrases_and_keywords_may_be_left_away(tmp_path: Path) -> None:
    assert load_topics(write(tmp_path, ONE)) == (Topic("sport", "体育", "体育赛事与健身。"),)


def test_order_of_the_file_is_kept(tmp_path: Path) -> None:
    other = ONE.replace("sport", "art") + 'phrases = ["书画展览"]\n'
    topics = load_topics(write(tmp_path, ONE + other))
    assert [topic.id for topic in topics] == ["sport", "art"]
    assert topics[1].phrases == ("书画展览",)


def test_a_topic_may_have_a_day(tmp_path: Path) -> None:
    (topic,) = load_topics(write(tmp_path, ONE + "since = 2026-11-22\n"))
    assert topic.since == date(2026, 11, 22)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no [[topic]] entry; give each topic an id and a name"),
        ("topic = 3", "no [[topic]] entry; give each topic an id and a name"),
        ("topic = [3]", "topic 1: not a table; write [[topic]] and then id, name, definition, phrases"),
        (ONE + ONE, "topic 2: id 'sport' is given twice; rename one"),
        (
            ONE + 'phrase = ["a"]',
            "topic 1: unknown key 'phrase'; known are definition, id, keywords, name, phrases, since",
        ),
        (
            ONE.replace("体育赛事与健身。", " "),
            "topic 1: 'definition' is empty; say in a sentence what belongs, or leave it out",
        ),
        (ONE + ONE.replace('name = "体育"\n', ""), "topic 2: 'name' is missing or empty; give it as a text"),
        (ONE.replace('"sport"', "3"), "topic 1: 'id' is missing or empty; give it as a text"),
        (
            ONE.replace("sport", "e commerce"),
            "topic 1: id 'e commerce' is not letters, digits, hyphens and underscores",
        ),
        (ONE.replace("sport", "_sport"), "topic 1: id '_sport' is not letters, digits, hyphens and underscores"),
        (
            ONE + 'since = "2026-11-22"',
            "topic 1: 'since' is '2026-11-22'; write the day without quotes, such as since = 2026-11-22",
        ),
        (ONE + 'phrases = "一个"', "topic 1: 'phrases' must be a list of non-empty texts"),
        (ONE + 'keywords = ["一个", " "]', "topic 1: 'keywords' must be a list of non-empty texts"),
    ],
)
def test_wrong_topics_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)
    with pytest.raises(ValueError) as error:
        load_topics(path)
    assert str(error.value) == f"{path}: {message}"


def test_bad_toml_and_bad_encoding_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path, "[[topic]\n")
    with pytest.raises(ValueError, match=r"topics\.toml: not a TOML file in UTF-8: "):
        load_topics(path)
    path.write_bytes(ONE.encode("gb18030"))
    with pytest.raises(ValueError, match=r"topics\.toml: not a TOML file in UTF-8: "):
        load_topics(path)


def test_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as error:
        load_topics(tmp_path / "none.toml")
    assert str(error.value) == f"{tmp_path / 'none.toml'}: no such topics file"


def test_a_topic_without_definition_is_defined_by_its_name(tmp_path: Path) -> None:
    (topic,) = load_topics(write(tmp_path, '[[topic]]\nid = "101"\nname = "文化"\n'))
    assert (topic.id, topic.definition, topic.phrases) == ("101", "文化", ())
