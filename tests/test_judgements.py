import pytest

from data.review.judgements import NO_TOPIC, TopicNames, is_same_text, to_cell
from data.topics import Topic, load_topics

NAMES = TopicNames(load_topics())


def test_what_is_written_is_read_back() -> None:
    for topics in (None, (), ("party_building",), ("united_front", "e_commerce")):
        assert NAMES.read(NAMES.write(topics)) == topics


@pytest.mark.parametrize(
    "cell", ["电商、党建", "电商, 党建", " 党建；电商；", "党建\n电商", "e_commerce|party_building", "党建 电商"]
)
def test_editors_separate_names_as_they_like(cell: str) -> None:
    assert NAMES.read(cell) == ("party_building", "e_commerce")


def test_empty_is_no_judgement_and_no_topic_is_one() -> None:
    assert NAMES.read("  \n") is None
    assert NAMES.read(NO_TOPIC) == ()


def test_a_name_may_hold_what_separates_names() -> None:
    names = TopicNames([Topic("a", "文化、体育", ""), Topic("b", "文化", ""), Topic("c", "local news", "")])
    assert names.read("文化、体育、文化") == ("a", "b")
    assert names.read("文化 local news") == ("b", "c")
    assert names.read(names.write(("a", "b", "c"))) == ("a", "b", "c")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ("党建设", "unknown topic '党建设'; did you mean '党建'? known are 统一战线"),
        ("天气", "无 for no topic"),
        ("无、党建", "stands beside a topic"),
    ],
)
def test_wrong_names_are_told_with_a_way_out(cell: str, message: str) -> None:
    with pytest.raises(ValueError) as error:
        NAMES.read(cell)
    assert message in str(error.value)


def test_texts_are_compared_but_for_what_saving_loses() -> None:
    text = "会议🎉强调：\n“抓落实”①"
    assert is_same_text(text.replace("\n", "\r\n") + " ", text)
    assert is_same_text(text.replace("🎉", "??"), text)
    assert not is_same_text(text.replace("抓", "促"), text)


@pytest.mark.parametrize("text", ["=1+1是等式", "-一、开头", "'引号", "@所有人", "平常"])
def test_no_cell_is_a_formula(text: str) -> None:
    cell = to_cell(text)
    assert cell[0] not in "=+-@"
    assert is_same_text(cell, text)
