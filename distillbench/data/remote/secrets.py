"""What servers are told so that they let one in; it is sent to them and goes nowhere else.

Buckets have their own variables of the environment (AWS_..., GOOGLE_...), which the library reads.
"""

from __future__ import annotations

import netrc
import os
from base64 import b64encode

SIGNED_URLS = "DISTILLBENCH_SIGNED_URLS"
"""A variable of the environment: URLs with their secret queries, with spaces between them."""


def signed_query(url: str) -> str:
    """Returns the query that belongs to a URL, without `?`; empty for none.

    It is that of the longest signed URL which is the same file or a folder above it.
    """
    found, longest = "", -1
    for signed in os.environ.get(SIGNED_URLS, "").split():
        place, _, query = signed.partition("?")
        place = place.rstrip("/")
        if (url == place or url.startswith(f"{place}/")) and len(place) > longest:
            found, longest = query, len(place)
    return found


def authorization_for(host: str) -> str:
    """Returns the header that ~/.netrc (or $NETRC) has for a host, empty for none."""
    try:
        found = netrc.netrc(os.environ.get("NETRC")).hosts.get(host.partition(":")[0])
    except (OSError, netrc.NetrcParseError):
        return ""
    if found is None:
        return ""
    login, _, password = found
    return "Basic " + b64encode(f"{login}:{password}".encode()).decode()
