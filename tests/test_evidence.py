"""Clauses and spans, on texts written by hand and on random ones."""

import itertools
import random
import time

import numpy as np
import pytest

from models.evidence import (
    EVIDENCE_SHARE,
    NOWHERE,
    choose_clauses,
    clause_of_tokens,
    cut_clauses,
    is_visible,
    spans_of,
)

MARKS = "。！？!?；;，,：:"
ALPHABET = [
    *MARKS,
    *"”」)\"'“ \n\r\t\u3000",
    *"党建电商a1３㈱①½ﷺ😀བ",
    "\u200d",
    "\ufeff",
    "\u2028",
    "e\u0301",
    "👨‍👩‍👧",
    "  ",
    "3,0",
]


def pieces(text: str) -> list[str]:
    return [text[start:end] for start, end in cut_clauses(text)]


def random_texts(n: int) -> list[str]:
    draw = random.Random(5)
    return ["".join(draw.choices(ALPHABET, k=draw.randrange(1, 40))) for _ in range(n)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("党建", ["党建"]),
        ("党建。", ["党建。"]),
        ("县委，今日开会。村民：好！", ["县委，", "今日开会。", "村民：", "好！"]),
        ("a!b?c;d,e:f", ["a!", "b?", "c;", "d,", "e:", "f"]),
        ("真的？！好；", ["真的？！", "好；"]),
        ("他说：“发展。”然后走了。", ["他说：", "“发展。”", "然后走了。"]),
        ('他说:"发展。"然后', ["他说:", '"发展。"', "然后"]),
        ("（见表一，）党建", ["（见表一，）", "党建"]),
        ("《规定》，其一", ["《规定》，", "其一"]),
        ("标题\n正文\r\n\r\n  又一行", ["标题\n", "正文\r\n\r\n", "  又一行"]),
        ("完。\n 又", ["完。\n", " 又"]),
        ("完。\u200b\n \n\0\n又。 ", ["完。\u200b\n \n\0\n", "又。 "]),
        (" \n\n党", [" \n\n", "党"]),
        ("\n党", ["\n", "党"]),
        ("，党", ["，", "党"]),
        ("上午9:30，收入3,000元，比1：2", ["上午9:30，", "收入3,000元，", "比1：2"]),
        ("共３：２０分", ["共３：２０分"]),
        ("其一:30人,2年", ["其一:", "30人,", "2年"]),
        ("2023，2024", ["2023，", "2024"]),
        ("教育、卫生、科技", ["教育、卫生、科技"]),
    ],
)
def test_clauses(text: str, expected: list[str]) -> None:
    assert pieces(text) == expected


def test_clauses_cover_any_text_once() -> None:
    for text in random_texts(2000):
        clauses = cut_clauses(text)
        assert "".join(pieces(text)) == text
        assert all(start < end for start, end in clauses)
        assert all(before[1] == after[0] for before, after in itertools.pairwise(clauses))


@pytest.mark.parametrize(
    "text", ["，" * 500_000, "，\n ”" * 200_000, "1,1" * 200_000, " " * 500_000, "！\"'" * 200_000]
)
def test_a_long_text_takes_no_longer_for_its_length(text: str) -> None:
    begun = time.perf_counter()
    clauses = cut_clauses(text)
    clause_of_tokens(text, clauses, np.array([[0, len(text)]]))
    assert time.perf_counter() - begun < 5


def test_a_token_belongs_to_the_clause_of_its_first_visible_character() -> None:
    text = " 党建，\u200b 电商。\n"
    clauses = cut_clauses(text)
    assert clauses == [(0, 4), (4, 10)]
    expected = {
        (0, 0): NOWHERE,
        (0, 1): NOWHERE,
        (0, 2): 0,
        (1, 3): 0,
        (2, 8): 0,
        (3, 7): 0,
        (4, 4): NOWHERE,
        (4, 6): NOWHERE,
        (4, 7): 1,
        (6, 10): 1,
        (8, 9): 1,
        (9, 10): NOWHERE,
        (10, 10): NOWHERE,
    }
    found = clause_of_tokens(text, clauses, np.array(list(expected)))
    assert dict(zip(expected, found.tolist(), strict=True)) == expected


def test_no_text_has_no_clause() -> None:
    assert clause_of_tokens("", [], np.array([[0, 0], [0, 0]])).tolist() == [NOWHERE, NOWHERE]


@pytest.mark.parametrize(
    ("clause_of_token", "shares", "expected"),
    [
        # Sums 0.1, 0.6, 0.2: one clause is enough.
        ([0, 1, 1, 2], [0.1, 0.4, 0.2, 0.2], [1]),
        # Sums 0.3, 0.2, 0.4 of 0.9: two are needed, and stand in order.
        ([0, 1, 2, 2], [0.3, 0.2, 0.1, 0.3], [0, 2]),
        # What special tokens hold does not count: 0.06 of 0.1 is enough.
        ([NOWHERE, 0, 1, NOWHERE], [0.5, 0.04, 0.06, 0.4], [1]),
        # Exactly half is enough, and of equals the first is taken.
        ([4, 7], [0.25, 0.25], [4]),
        ([3, 5, 6, 9], [0.25, 0.25, 0.25, 0.25], [3, 5]),
        # All tokens of the text may hold next to nothing.
        ([NOWHERE, 2, 3], [1.0, 0.0, 0.0], [2]),
        ([NOWHERE, NOWHERE], [0.5, 0.5], []),
        ([], [], []),
    ],
)
def test_clauses_are_taken_until_they_hold_half(
    clause_of_token: list[int], shares: list[float], expected: list[int]
) -> None:
    chosen = choose_clauses(np.array(clause_of_token, int), np.array(shares, np.float32))
    assert chosen == expected
    assert all(type(place) is int for place in chosen)


def test_the_clauses_taken_are_the_fewest_that_hold_half() -> None:
    draw = np.random.default_rng(6)
    for _ in range(500):
        clause_of_token = draw.integers(NOWHERE, 6, size=20)
        shares = draw.dirichlet(np.full(20, 0.3)).astype(np.float32)
        sums = {clause: float(shares[clause_of_token == clause].sum()) for clause in {*clause_of_token.tolist()}}
        sums.pop(NOWHERE, None)
        half = EVIDENCE_SHARE * sum(sums.values())
        chosen = choose_clauses(clause_of_token, shares)
        assert sum(sums[clause] for clause in chosen) >= half - 1e-6
        fewer = len(chosen) - 1
        assert sum(sorted(sums.values(), reverse=True)[:fewer]) < half + 1e-6
        assert min(sums[clause] for clause in chosen) >= max(
            (held for clause, held in sums.items() if clause not in chosen), default=0.0
        )


@pytest.mark.parametrize(
    ("text", "chosen", "expected"),
    [
        ("县委，今日开会。村民：好！", [0], ["县委"]),
        ("县委，今日开会。村民：好！", [0, 1], ["县委，今日开会"]),
        ("县委，今日开会。村民：好！", [0, 2, 3], ["县委", "村民：好"]),
        ("县委，今日开会。村民：好！", [], []),
        (" 　党建 ，\u200b\n 电商。", [0], ["党建"]),
        (" 　党建 ，\u200b\n 电商。", [0, 1], ["党建 ，\u200b\n 电商"]),
        ("《规定》，其一", [0], ["《规定》"]),
        ("他说：“发展。”", [1], ["“发展。”"]),
        (" ？！ ", [0], ["？！"]),
        ("\n，党", [1], ["，"]),
        ("\n，党", [1, 2], ["党"]),
        ("😀３，㈱", [0], ["😀３"]),
    ],
)
def test_spans(text: str, chosen: list[int], expected: list[str]) -> None:
    assert [text[start:end] for start, end in spans_of(text, cut_clauses(text), chosen)] == expected


def test_random_evidence_lies_in_its_clauses_and_leaves_out_only_blanks_and_marks() -> None:
    draw = np.random.default_rng(7)
    n_joined = 0
    for text in random_texts(2000):
        clauses = cut_clauses(text)
        # Tokens of one or more characters, in order, some of them of nothing.
        cuts = np.sort(draw.integers(0, len(text) + 1, size=draw.integers(1, 20)))
        offsets = np.stack([np.append(0, cuts), np.append(cuts, len(text))], axis=1)
        places = clause_of_tokens(text, clauses, offsets)
        for (start, end), place in zip(offsets.tolist(), places.tolist(), strict=True):
            visible = [at for at in range(start, end) if is_visible(text[at])]
            holding = [k for k, (first, last) in enumerate(clauses) if visible and first <= visible[0] < last]
            assert [place] == (holding or [NOWHERE])
        chosen = choose_clauses(places, draw.dirichlet(np.ones(len(places))))
        assert bool(chosen) == any(map(is_visible, text))
        spans = spans_of(text, clauses, chosen)
        assert bool(spans) == bool(chosen)
        edges = [edge for span in spans for edge in span]
        assert edges == sorted(edges) and all(start < end for start, end in spans)
        inside = {at for k in chosen for at in range(*clauses[k])}
        shown = {at for span in spans for at in range(*span)}
        assert shown <= inside
        assert not any(is_visible(text[at]) and text[at] not in MARKS for at in inside - shown)
        assert all(is_visible(text[start]) and is_visible(text[end - 1]) for start, end in spans)
        n_joined += len(spans) < len(chosen)
    assert n_joined > 50


@pytest.mark.parametrize(
    ("char", "expected"),
    [
        ("党", True),
        ("，", True),
        ("😀", True),
        ("\ue000", True),
        ("\U0001fae8", True),
        (" ", False),
        ("\u3000", False),
        ("\u2028", False),
        ("\0", False),
        ("\u200b", False),
        ("\u202e", False),
        ("\ufeff", False),
    ],
)
def test_visible(char: str, expected: bool) -> None:
    assert is_visible(char) is expected
