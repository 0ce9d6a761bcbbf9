"""How much one request, and all of them together, may ask of the service.

Each limit is set by an environment variable: `body_bytes` by DUANBIAO_MAX_BODY_BYTES,
and so on.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields

PREFIX = "DUANBIAO_MAX_"


@dataclass(frozen=True)
class Limits:
    """What is allowed at most."""

    body_bytes: int = 2 * 1024 * 1024
    """Bytes of a request body: a long web page with its markup."""
    characters: int = 200_000
    """Characters of all texts of a request, markup included."""
    paragraphs: int = 256
    """Paragraphs of a request, sent or found in the article."""
    tokens: int = 32_768
    """Tokens of a request that the network reads: some fifteen seconds on two cores."""
    requests: int = 32
    """POST requests that are read, wait or are worked on at the same time."""
    connections: int = 512
    """Open connections; past it, the one that has waited for a request the longest is closed."""
    header_seconds: int = 10
    """Seconds until the head of a connection's next request has arrived."""
    body_seconds: int = 10
    """Seconds until a request body has arrived."""
    work_seconds: int = 60
    """Seconds from the body's arrival to the answer, waiting included."""
    answer_seconds: int = 30
    """Seconds until the client has taken an answer."""


def read_limits(environ: Mapping[str, str]) -> Limits:
    """Return the limits that the environment sets, defaults for the others.

    Raises:
        ValueError: a variable is no whole number of 1 or more, or names no limit.
    """
    names = {PREFIX + field.name.upper(): field.name for field in fields(Limits)}
    values = {}
    for variable, text in environ.items():
        if not variable.startswith(PREFIX):
            continue
        if variable not in names:
            raise ValueError(f"{variable}: no such limit; known are {', '.join(names)}")
        # Nine digits are more than any machine has to give, and `int` is slow on thousands.
        if not text.isascii() or not text.isdigit() or len(text) > 9 or int(text) < 1:
            raise ValueError(f"{variable}: '{text}' is not a whole number from 1 to 999999999; correct or unset it")
        values[names[variable]] = int(text)
    return Limits(**values)
