"""The round that a live leader would decide now, from the health server of its process (app.scheduler.round_dump).

Input: the address of a health server, a pool, the form. Output: the bytes of a round file. Whatever goes wrong is one
line (OSError).
"""

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from http import HTTPStatus
from typing import Literal
from urllib.parse import urlencode

ROUND_BYTES_MAX = 2 * 1024**3
ANSWER_BYTES_MAX = 4096
TIMEOUT_S = 300.0

Form = Literal["json", "binary"]


class NotLeading(OSError):
    """a scheduler stands by: another one leads, or nobody does yet"""


class RoundRefused(OSError):
    """the leader has no such round"""


def fetch_round(url: str, pool: str, form: Form = "json") -> bytes:
    """The round of a pool from one health server. Raises NotLeading, RoundRefused, and OSError for the rest."""
    if not url.startswith("http://"):
        raise OSError("a health server speaks plain http://")
    try:
        asked = f"{url.rstrip('/')}/round?{urlencode({'pool': pool, 'form': form})}"
        with urllib.request.urlopen(asked, timeout=TIMEOUT_S) as answer:
            wanted = int(answer.headers.get("Content-Length") or 0)
            if wanted > ROUND_BYTES_MAX:
                raise OSError(f"the round has {wanted} bytes, more than {ROUND_BYTES_MAX}")
            document = bytes(answer.read(ROUND_BYTES_MAX))
    except urllib.error.HTTPError as answer:
        said = answer.read(ANSWER_BYTES_MAX).decode(errors="replace").strip() or str(answer)
        kind = NotLeading if answer.code == HTTPStatus.SERVICE_UNAVAILABLE else RoundRefused
        raise kind(said.splitlines()[0]) from None
    except urllib.error.URLError as error:
        raise OSError(getattr(error.reason, "strerror", None) or str(error.reason)) from None
    except (http.client.HTTPException, ValueError) as error:
        raise OSError(f"this is no health server: {type(error).__name__}: {error}") from None
    if len(document) < wanted:
        raise OSError(f"the answer ended after {len(document)} of {wanted} bytes")
    return document


def fetch_from_leader(urls: Sequence[str], pool: str, form: Form = "json") -> bytes:
    """The round from whichever of these leads. Raises RoundRefused with what the leader says, else OSError with one
    line on all of them."""
    said: list[str] = []
    for url in urls:
        try:
            return fetch_round(url, pool, form)
        except RoundRefused:
            raise
        except NotLeading:
            said.append(f"{url} does not lead")
        except OSError as error:
            said.append(f"{url}: {error}")
    raise OSError("; ".join(said))
