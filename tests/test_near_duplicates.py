from training.near_duplicates import merge_groups, near_duplicates

LONG = "县应急管理局昨日对全县十二家危险化学品企业开展拉网式检查，发现隐患三十一处，已责令限期整改。"
EDITED = "昨日，县应急管理局对全县十二家危险化学品企业开展拉网式检查，发现隐患31处，责令限期整改。"
EXCERPT = "对全县十二家危险化学品企业开展拉网式检查，发现隐患三十一处"
OTHER = "市图书馆的读书沙龙已经办到第二百期，每周六下午座无虚席，听众里有学生也有退休工人。"


def test_edited_texts_and_excerpts_are_near_duplicates_and_other_texts_are_not() -> None:
    assert near_duplicates([LONG, OTHER, "开会"], [EDITED, EXCERPT, "开会了", OTHER, "开会"]) == [
        (0, 0),
        (0, 1),
        (1, 3),
        (2, 4),
    ]


def test_white_space_does_not_hide_a_duplicate() -> None:
    assert near_duplicates([LONG], [LONG.replace("，", " ，\n")]) == [(0, 0)]


def test_nothing_is_near_nothing() -> None:
    assert near_duplicates([], [LONG]) == []


def test_articles_that_share_a_near_duplicate_become_one_group() -> None:
    texts = [LONG, OTHER, EDITED, "今晨大雾，机场高速临时封闭了两个小时。"]
    assert merge_groups(texts, ["b", "b", "a", "c"]) == ("a", "a", "a", "c")
    assert merge_groups([LONG, OTHER], ["x", "y"]) == ("x", "y")
