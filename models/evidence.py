"""Evidence: the clauses of a text that decided for a topic, as spans of its characters (numpy only).

The network says how much of a topic's logit is each token's. Tokens are too small to be
read alone, so their shares are added up over clauses, and the clauses with the largest
sums are shown. A span [start, end) counts the characters of the text as it was handed in.
"""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

Span = tuple[int, int]

# The clauses shown hold together at least this much of what all clauses hold.
EVIDENCE_SHARE = 0.5
# What `clause_of_tokens` says of a token that stands in no clause.
NOWHERE = -1

_MARKS = "。！？!?；;，,：:"
_CLOSERS = re.escape("”’」』》〉）)】〕］]")
# A colon or an ASCII comma between digits is part of a time or of a number. ASCII quotes close
# only after a sentence's mark: after a colon or a comma they open.
_MARK = rf"(?:[。！？!?][{_CLOSERS}\"']*|[；;，][{_CLOSERS}]*|[,：:](?!(?<=\d.)\d)[{_CLOSERS}]*)"
_LINE_END = r"[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]"
# Possessive, so that a million marks cost no more than their length.
_CLAUSE_END = re.compile(rf"{_MARK}++|{_LINE_END}")


@lru_cache(maxsize=1 << 16)
def is_visible(char: str) -> bool:
    """Whether the character prints something: neither a blank nor a control or format character."""
    return not char.isspace() and unicodedata.category(char) not in ("Cc", "Cf")


def cut_clauses(text: str) -> list[Span]:
    """Return the clauses of a text, in order and without gaps.

    A clause ends with its mark, the marks and the closing quotes and brackets after it
    included, or with the end of its line. What shows nothing is no clause of its own, except
    before the first.
    """
    clauses: list[Span] = []
    start = 0
    for end in [*(match.end() for match in _CLAUSE_END.finditer(text)), len(text)]:
        if clauses and not any(map(is_visible, text[start:end])):
            start = clauses.pop()[0]
        if start < end:
            clauses.append((start, end))
        start = end
    return clauses


def clause_of_tokens(text: str, clauses: Sequence[Span], offsets: np.ndarray) -> np.ndarray:
    """Return the place in `clauses` of each token's first visible character, int (tokens,).

    Args:
        text: the text.
        clauses: what `cut_clauses` returned for it.
        offsets: start and end of each token in the text (tokens, 2); equal for a special token.

    Tokens without a visible character, special tokens among them, are `NOWHERE`.
    """
    filled = offsets[offsets[:, 0] < offsets[:, 1]]
    # A long text comes in many windows: only what this one covers is looked at.
    low, high = (int(filled[:, 0].min()), int(filled[:, 1].max())) if len(filled) else (0, 0)
    covered = text[low:high]
    visible_chars = {char for char in set(covered) if is_visible(char)}
    visible = np.array([char in visible_chars for char in covered], bool)
    # For each character, and for the end, the first visible one from there on.
    places = np.append(np.where(visible, np.arange(low, high), high), high)
    first_visible = np.minimum.accumulate(places[::-1])[::-1][np.clip(offsets[:, 0], low, high) - low]
    clause = np.searchsorted([start for start, _ in clauses], first_visible, side="right") - 1
    return np.where(first_visible < offsets[:, 1], clause, NOWHERE)


def choose_clauses(clause_of_token: np.ndarray, token_shares: np.ndarray) -> list[int]:
    """Return the places of the clauses that hold most, in order of place.

    They are taken by falling share, the earlier first where two are equal, until they hold
    `EVIDENCE_SHARE` of what all clauses hold; at least one, if any token stands in a clause.

    Args:
        clause_of_token: place of each token's clause, or `NOWHERE` (tokens,).
        token_shares: share of each token in the topic's logit, 0 to 1 (tokens,).
    """
    placed = clause_of_token != NOWHERE
    clauses, at = np.unique(clause_of_token[placed], return_inverse=True)
    if not len(clauses):
        return []
    shares = np.bincount(at, weights=token_shares[placed])
    falling = np.argsort(-shares, kind="stable")
    held = np.cumsum(shares[falling])
    n_taken = int(np.searchsorted(held, EVIDENCE_SHARE * held[-1])) + 1
    return sorted(clauses[falling[:n_taken]].tolist())


def spans_of(text: str, clauses: Sequence[Span], chosen: Sequence[int]) -> tuple[Span, ...]:
    """Return the chosen clauses as sorted spans: neighbours joined, blanks and marks at the ends left out.

    Args:
        text: the text.
        clauses: what `cut_clauses` returned for it.
        chosen: places in `clauses`, rising, each of a clause with a visible character.
    """
    joined: list[Span] = []
    for place in chosen:
        start, end = clauses[place]
        if joined and joined[-1][1] == start:
            start = joined.pop()[0]
        joined.append((start, end))
    return tuple(_strip(text, span) for span in joined)


def _strip(text: str, span: Span) -> Span:
    start, end = span
    places = [place for place in range(start, end) if is_visible(text[place])]
    # A clause of nothing but marks keeps them.
    places = [place for place in places if text[place] not in _MARKS] or places
    return places[0], places[-1] + 1
