"""Where and when a tagged paragraph appeared, as far as its record says.

A record carries its article's path or name and an id, no date. So the source is the
article's folder, without the parts of it that are dates; where the paragraph came out
of a table, the table file's name. The month is the last date in the id, which for
articles begins with their path: `2024-05-03`, `2024-05`, `2024/05/03`, `2024.05.03`,
`2024_05_03`, `20240503`, `2024年5月3日`, `2024年5月`; failing that, the last one in the
article's path; else `unknown`.
"""

import re
from functools import lru_cache
from pathlib import PurePosixPath

from serving.summary.tag_files import ENDINGS

UNKNOWN = "unknown"
NO_FOLDER = "(no folder)"
# A month of one digit counts only before a day: 2024_1 is the first article of 2024 as well as January.
_DATE = re.compile(
    r"""(?<!\d)(?P<year>(?:19|20)\d\d)
    (?: 年(?P<chinese>0?[1-9]|1[0-2])月
    |   (?P<separator>[-/._])(?P<dated>0?[1-9]|1[0-2])(?P=separator)(?:0?[1-9]|[12]\d|3[01])(?!\d)
    |   [-/._](?P<separate>0[1-9]|1[0-2])(?!\d)
    |   (?P<joined>0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?!\d)
    )""",
    re.VERBOSE,
)
_DATE_FOLDER = re.compile(r"[\d年月日._-]*\d[\d年月日._-]*")


@lru_cache(maxsize=4096)
def source_of(article: str) -> str:
    """Return the source of an article from its path or name."""
    path = PurePosixPath(article)
    if path.name.lower().endswith(ENDINGS):
        return path.name
    folder = PurePosixPath(*(part for part in path.parent.parts if not _DATE_FOLDER.fullmatch(part)))
    return NO_FOLDER if str(folder) == "." else str(folder)


def month_of(paragraph_id: str, article: str) -> str:
    """Return the month, such as "2024-05", or `UNKNOWN`."""
    return _last_month(paragraph_id) or _month_of_article(article) or UNKNOWN


def _last_month(text: str) -> str:
    found = ""
    for match in _DATE.finditer(text):
        month = match["chinese"] or match["dated"] or match["separate"] or match["joined"]
        found = f"{match['year']}-{int(month):02d}"
    return found


@lru_cache(maxsize=4096)
def _month_of_article(article: str) -> str:
    return _last_month(article)
