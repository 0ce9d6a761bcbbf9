"""The one form of an error.

    {"error": {"code": "blank_text", "message": "paragraphs[2]: …", "details": {…}}}

An error never repeats text of the request: it may be confidential, or long.
"""

from typing import Any


class Refusal(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: int, code: str, message: str, *, retry_after: int | None = None, **details: Any) -> None:
        """Describe the error.

        Args:
            status: HTTP status, 400 to 599.
            code: snake_case name for programs.
            message: where, what, what instead; for people.
            retry_after: seconds after which the same request may succeed.
            details: numbers and names that belong to it; never text of the request.
        """
        super().__init__(message)
        self.status, self.code, self.message, self.details = status, code, message, details
        self.headers = {} if retry_after is None else {"retry-after": str(retry_after)}

    def body(self) -> dict[str, Any]:
        """Return the error as it is sent."""
        return {"error": {"code": self.code, "message": self.message, "details": self.details}}


def too_large(limit: str, allowed: int, found: int | None = None) -> Refusal:
    """Return the refusal of a request that passes the field `limit` of `Limits`."""
    unit = limit.replace("_", " ")
    has = "has too many" if found is None else f"has {found}"
    message = f"the request {has} {unit}, at most {allowed} are taken; send it in parts"
    details = {} if found is None else {"found": found}
    return Refusal(413, "too_large", message, limit=limit, allowed=allowed, **details)
