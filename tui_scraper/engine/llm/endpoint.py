"""Which endpoint is asked: its address, whose it is, and whether it is a machine of ours."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import ClassifySettings

OPENAI = "https://api.openai.com/v1"
_AZURE = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_LOCAL_NAMES = frozenset({"localhost", "host.docker.internal", "ip6-localhost"})


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`family` is what answers are keyed by: the host, or `local` for a server on this machine or network.

    So a local server may move to another port without every label being asked for again. `api_version` is
    for Azure's versioned addresses, '' elsewhere. `loopback`: it is on this very machine.
    """

    url: str
    family: str
    local: bool
    api_version: str = ""
    loopback: bool = False

    @property
    def encrypted(self) -> bool:
        """Whether nobody on the way can read a key."""
        return self.url.startswith("https://")

    @property
    def is_openai(self) -> bool:
        """Whether this is OpenAI's own."""
        return self.family == "api.openai.com"

    @property
    def is_azure(self) -> bool:
        """Whether this is one of Azure's."""
        return self.family.endswith(_AZURE)

    @property
    def shown(self) -> str:
        """The address, for a person."""
        return safe_text(self.url)


def endpoint_of(settings: ClassifySettings, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """The endpoint of these settings.

    Raises UsageError for an address that is none, that would show a key to the network, or that holds one.
    """
    url = (settings.base_url or environ.get("OPENAI_BASE_URL", "") or OPENAI).strip().rstrip("/")
    shown = safe_text(url, limit=200)
    try:
        parts = urlsplit(url)
        host, _port = (parts.hostname or "").lower(), parts.port
    except ValueError:
        raise UsageError(f"classify.base_url: '{shown}' is not an address such as {OPENAI}.") from None
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            "classify.base_url holds a password, a query or a fragment; keys have settings of their own."
        )
    if parts.scheme not in {"http", "https"} or not host:
        raise UsageError(f"classify.base_url: '{shown}' is not an address such as {OPENAI}.")
    local = _is_local(host)
    if parts.scheme == "http" and not local:
        raise UsageError(f"classify.base_url: '{shown}' would send the key unencrypted; use https.")
    return Endpoint(url, "local" if local else host, local, settings.api_version, _is_loopback(host))


NOWHERE = Endpoint("", "", local=False)
"""Where nobody is asked."""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host in {"localhost", "ip6-localhost"}


def _is_local(host: str) -> bool:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host in _LOCAL_NAMES or "." not in host or host.endswith((".local", ".internal", ".lan"))
    return address.is_loopback or address.is_private or address.is_link_local
