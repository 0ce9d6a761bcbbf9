"""What the service is asked and answers, and how a request is checked; errors are those of `serving.refusals`."""

import json
from collections.abc import Iterable
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, FailFast, Field, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from data.characters import INVISIBLE, drop_invisible
from data.sources import Format
from serving.limits import Limits
from serving.refusals import Refusal, too_large

MAX_NAME = 200
"""Characters of an article's name."""


def _check_unicode(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise PydanticCustomError(
            "lone_surrogate",
            "half of a surrogate pair at character {at}; send whole characters",
            {"at": error.start},
        ) from None
    if "\0" in text:
        raise PydanticCustomError("null_character", "U+0000 at character {at}; leave it out", {"at": text.index("\0")})
    return text


def _check_not_blank(text: str) -> str:
    if not drop_invisible(text).strip():
        raise PydanticCustomError("blank_text", "nothing but blanks; leave it out or send text")
    return text


# What `str.strip` takes away. Pattern languages mean different things by \s, so they are listed.
_BLANK = "\t-\r\x1c- \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000" + INVISIBLE
# The checks as the OpenAPI description tells them: no U+0000, and something that is no blank.
_PATTERN = f"^[^\0]*[^\0{_BLANK}][^\0]*$".encode("unicode_escape").decode()
_DESCRIBED = {"minLength": 1, "pattern": _PATTERN}
Text = Annotated[
    str, AfterValidator(_check_unicode), AfterValidator(_check_not_blank), Field(json_schema_extra=_DESCRIBED)
]


class TagRequest(BaseModel):
    """Paragraphs to tag, taken as they are."""

    model_config = ConfigDict(strict=True, extra="forbid")
    # At the first wrong item the rest is not looked at: 20,000 of them would be 20,000 errors.
    paragraphs: Annotated[list[Text], Field(min_length=1), FailFast()]


class TagArticleRequest(BaseModel):
    """An article to cut into paragraphs and tag."""

    model_config = ConfigDict(strict=True, extra="forbid")
    text: Text
    format: Format = "text"
    name: Annotated[Text, Field(max_length=MAX_NAME)] = "request"


class Record(BaseModel):
    """The paragraph record, see `serving.records`."""

    model_config = ConfigDict(extra="forbid")
    id: str
    article: str
    headline: str
    index: int
    spans: list[tuple[int, int]]
    text: str
    answer: Literal["topics", "none", "unsure"]
    topics: list[str]
    scores: dict[str, Annotated[float, Field(ge=0, le=1)]]
    evidence: dict[str, list[tuple[int, int]]]
    truncated: bool
    model: str


class TagAnswer(BaseModel):
    """The version of the model that answered, and a record for each paragraph."""

    model: str
    paragraphs: list[Record]


def parse_request(body: bytes, form: type[BaseModel]) -> BaseModel:
    """Read a body as JSON of this form.

    Raises:
        Refusal: 400 if it is not JSON as RFC 8259 has it, 422 if it says something else.
    """
    content = _parse_json(body)
    try:
        return form.model_validate(content)
    except ValidationError as error:
        (first, *_) = error.errors(include_url=False, include_input=False)
        raise _refusal_of(first, form) from None


def check_size(texts: Iterable[str], limits: Limits) -> None:
    """Check the number of paragraphs and of their characters.

    Raises:
        Refusal: 413, there are too many.
    """
    lengths = [len(text) for text in texts]
    if len(lengths) > limits.paragraphs:
        raise too_large("paragraphs", limits.paragraphs, len(lengths))
    if sum(lengths) > limits.characters:
        raise too_large("characters", limits.characters, sum(lengths))


def _parse_json(body: bytes) -> Any:
    if not body:
        raise Refusal(400, "empty_body", "the body is empty; send a JSON object")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        message = f"the body is not UTF-8 at byte {error.start}; send UTF-8"
        raise Refusal(400, "not_utf_8", message, byte=error.start) from None
    try:
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        # Of the parser's message only the part before a colon is sure to hold no text of the body.
        what = error.msg.split(":")[0].removesuffix(" at")
        message = f"the body is not JSON: {what} at line {error.lineno}, column {error.colno}; send a JSON object"
        raise Refusal(400, "not_json", message, line=error.lineno, column=error.colno) from None
    except RecursionError:
        raise Refusal(400, "not_json", "the body is nested too deeply; send a flat JSON object") from None
    except ValueError:
        raise Refusal(400, "not_json", "the body holds a number that is too long; send texts") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise Refusal(400, "duplicate_key", "the body gives a key twice in one object; give each once")
    return content


def _no_constant(_: str) -> None:
    raise Refusal(400, "not_json", "the body holds NaN or Infinity, which JSON has not; send texts")


def _refusal_of(error: ErrorDetails, form: type[BaseModel]) -> Refusal:
    """Turn a validation error into a refusal; its own text of the request is left behind."""
    kind, known = error["type"], list(form.model_fields)
    where = _path_of(error["loc"])
    context = {key: value for key, value in error.get("ctx", {}).items() if isinstance(value, int)}
    if kind == "extra_forbidden":
        return Refusal(422, "unknown_key", f"the body has an unknown key; known are {', '.join(known)}", known=known)
    if kind == "missing":
        return Refusal(422, "missing_key", f"{where} is missing; send it", where=where)
    if kind in ("lone_surrogate", "null_character", "blank_text"):
        return Refusal(422, kind, f"{where}: {error['msg']}", where=where, **context)
    if kind == "literal_error":
        expected = "text, markdown or html"
        return Refusal(422, "wrong_value", f"{where}: not one of its values; send {expected}", where=where)
    if kind == "too_short":
        return Refusal(422, "no_paragraphs", f"{where}: an empty list; send one text or more", where=where)
    if kind in ("too_long", "string_too_long"):
        return Refusal(422, "too_long", f"{where}: more than {MAX_NAME} characters; shorten it", where=where)
    expected = {"string_type": "a text", "list_type": "a list of texts"}.get(kind, "a JSON object")
    return Refusal(422, "wrong_type", f"{where}: not {expected}; send {expected}", where=where)


def _path_of(place: tuple[int | str, ...]) -> str:
    """Write a place as `paragraphs[3]`; the body itself has no name."""
    path = "".join(f"[{step}]" if isinstance(step, int) else step for step in place)
    return path or "the body"
