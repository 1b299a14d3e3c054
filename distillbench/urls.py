"""Tells texts that are URLs of data, and what of them may be a secret."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

_URL = re.compile(r"\s*(gs|s3|https?)://", re.IGNORECASE)
_ANYWHERE = re.compile(r"(?<![a-z0-9])(gs|s3|https?)://", re.IGNORECASE)
SECRET = (
    "a URL with a user name, a password, a query or a fragment may hold a secret, which would be"
    " stored and printed: give the URL up to its '?', and the secret by the environment"
    " (docs/remote-data.md)"
)
"""Why such a URL is refused. Nothing that prints this may print the URL itself."""


def is_url(text: str) -> bool:
    """Tells whether a text is the URL of data that is read from elsewhere: gs, s3, https, http."""
    return _URL.match(text) is not None


def find_secret(text: str) -> bool:
    """Tells whether a URL that may hold a secret stands anywhere in a text."""
    return any(holds_secret(text[found.start() :]) for found in _ANYWHERE.finditer(text))


def holds_secret(text: object) -> bool:
    """Tells whether a setting is a URL that may hold a secret, or a list with one."""
    if isinstance(text, list | tuple):
        return any(map(holds_secret, text))
    if not isinstance(text, str) or not is_url(text):
        return False
    try:
        parts = urlsplit(text.strip())
    except ValueError:  # no URL, and nothing that should be printed
        return True
    return "@" in parts.netloc or "?" in text or "#" in text
