"""What kind of character is this: the small questions that layout and furniture share."""

import re
import unicodedata

# Ideographs of the basic block, extension A and the compatibility block: what a
# newspaper prints. Rarer extensions lie outside the base encoder's vocabulary too.
HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_HAN = re.compile(f"[{HAN}]")

# Characters that print nothing and may stand anywhere in copied text.
INVISIBLE = "\ufeff\u200b\u200c\u200d\u2060\u00ad\u200e\u200f\u202a-\u202e\u2066-\u2069"
_INVISIBLE = re.compile(f"[{INVISIBLE}]")

CLOSERS = "”’』」》〉）)】]\"'"
_TERMINAL = re.compile(rf"[。！？；!?;…][{re.escape(CLOSERS)}]*$")
_INNER_STOP = re.compile(r"[。！？!?]")
_COMMA = re.compile("[，,、]")
_BRACKETS = (("“", "”"), ("‘", "’"), ("《", "》"), ("（", "）"), ("(", ")"), ("【", "】"), ("「", "」"))


def count_han(text: str) -> int:
    """Return how many Chinese characters the text holds."""
    return len(_HAN.findall(text))


def is_wide(char: str) -> bool:
    """Whether the character takes a full column cell, as ideographs and Chinese punctuation do."""
    return unicodedata.east_asian_width(char) in "WFA"


def width(text: str) -> float:
    """Return the printed width in ideographs: 1 for a wide character, 0.5 for others."""
    visible = _INVISIBLE.sub("", text)
    return sum(1.0 if is_wide(char) else 0.5 for char in visible)


def ends_sentence(text: str) -> bool:
    """Whether the text ends with a sentence's closing punctuation, quotes after it allowed."""
    return bool(_TERMINAL.search(text.rstrip()))


def has_inner_stop(text: str) -> bool:
    """Whether a sentence ends inside the text, that is before its last characters."""
    return bool(_INNER_STOP.search(text.rstrip()[:-2]))


def count_commas(text: str) -> int:
    """Return how many commas, of either width and of either Chinese kind, the text holds."""
    return len(_COMMA.findall(text))


def has_open_bracket(text: str) -> bool:
    """Whether a Chinese quotation mark or bracket is opened and not closed again."""
    return any(left in text and text.count(left) > text.count(right) for left, right in _BRACKETS)


def drop_invisible(text: str) -> str:
    """Return the text without characters that print nothing."""
    return _INVISIBLE.sub("", text)


# Three or more neighbours of one or two characters each, split by blanks: 「教 育 基 地 ，先 后」.
_SPACED = re.compile(rf"(?:(?<=\s)|^)(?:[{HAN}][，、。：；]?\s|[，、]?[{HAN}]\s){{2,}}[，、]?[{HAN}]")


def close_letter_spacing(text: str) -> str:
    """Close up Chinese text that was printed with a blank between all characters.

    A single blank between two longer runs is kept: headlines use it as a comma.
    """
    return _SPACED.sub(lambda match: re.sub(r"\s", "", match.group()), text)
