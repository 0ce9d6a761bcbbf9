"""Which pieces of a multilingual vocabulary Chinese text needs."""

import functools
import unicodedata

SPACE_MARK = "\u2581"
"""SentencePiece writes a blank as this character."""

_HAN_RANGES = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x2FA1F))


@functools.cache
def is_han(char: str) -> bool:
    """Whether the character is a Chinese ideograph."""
    return any(low <= ord(char) <= high for low, high in _HAN_RANGES)


@functools.cache
def _is_common(char: str) -> bool:
    """Whether the character may stand in Chinese text: ASCII, punctuation, symbols, numbers."""
    if char.isascii() or char == SPACE_MARK:
        return True
    category = unicodedata.category(char)
    return category[0] in "PS" or category in ("Nl", "No")


def is_chinese_piece(piece: str) -> bool:
    """Whether a vocabulary cut to Chinese, ASCII and punctuation keeps this piece.

    Of the pieces with Latin letters, single letters and acronyms of up to four capitals
    stay; other Latin words are spelt out of those.
    """
    if not piece or not all(is_han(char) or _is_common(char) for char in piece):
        return False
    word = piece.strip(SPACE_MARK)
    if any(char.isascii() and char.isalpha() for char in word) and not any(map(is_han, word)):
        return len(word) == 1 or (len(word) <= 4 and word.isupper())
    return True
