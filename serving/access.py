"""Who may call: where DUANBIAO_API_KEY is set, whoever sends it as `Authorization: Bearer KEY`.

The key is compared and nothing else: it stands in no log, answer or error. Batch tagging
and training read files of this machine and ask for none.
"""

import hmac
import ipaddress
from collections.abc import Mapping, Sequence

from serving.refusals import Refusal

VARIABLE = "DUANBIAO_API_KEY"
MIN_LENGTH = 16
"""Characters of a key. Shorter ones can be tried out."""
OPEN_ROUTES = ("/livez", "/readyz")
"""Need no key: an orchestrator's probes seldom can send one, and they tell only yes or no."""


def read_key(environ: Mapping[str, str]) -> bytes | None:
    """Return the key that the environment sets; None if it sets none.

    Raises:
        ValueError: it can be no key. The message does not repeat it.
    """
    key = environ.get(VARIABLE)
    if key is None:
        return None
    instead = "; set one as 'openssl rand -hex 32' makes, or unset it"
    if not key.strip():
        raise ValueError(f"{VARIABLE}: is empty{instead}")
    if not all("!" <= character <= "~" for character in key):
        raise ValueError(f"{VARIABLE}: has a blank or a character beyond ASCII and cannot stand in a header{instead}")
    if len(key) < MIN_LENGTH:
        raise ValueError(f"{VARIABLE}: has {len(key)} characters, fewer than {MIN_LENGTH}{instead}")
    return key.encode("ascii")


def check_key(path: str, headers: Sequence[tuple[bytes, bytes]], key: bytes | None) -> None:
    """Check that a request may be answered; `key` is None if none is asked for.

    Raises:
        Refusal: 401, the request brings no key, another one, or several.
    """
    if key is None or path in OPEN_ROUTES:
        return
    sent = [value for name, value in headers if name == b"authorization"]
    scheme, _, credentials = sent[0].partition(b" ") if len(sent) == 1 else (b"", b"", b"")
    # The same time for every wrong key of one length, so that none can be guessed bit by bit.
    if hmac.compare_digest(credentials.lstrip(b" "), key) and scheme.lower() == b"bearer":
        return
    refusal = Refusal(401, "unauthorized", "no key or a wrong one; send the header 'Authorization: Bearer KEY'")
    refusal.headers["www-authenticate"] = "Bearer"
    raise refusal


def warning_of(host: str, key: bytes | None) -> str | None:
    """Return what to warn of when listening on this address; None if there is nothing."""
    try:
        alone = ipaddress.ip_address(host).is_loopback
    except ValueError:  # BentoML takes addresses only and says so
        return None
    if alone or key:
        return None
    return f"listening on {host} without a key: whoever reaches this machine may call; set {VARIABLE}"
