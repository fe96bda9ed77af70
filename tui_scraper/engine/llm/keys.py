"""Where the key of an endpoint comes from, and how it is kept out of everything that is shown or stored.

The environment, the keyring of the system (where the `keyring` package is installed), a file that nobody else
may read. It is held as a `SecretStr`, given to the client alone, and blotted out of every sentence that a
server has had a hand in: some echo the key of a request in their error.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import platformdirs
from pydantic import SecretStr

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import ClassifySettings

SERVICE = "tui-scraper"
"""The name under which the keyring keeps keys; the user name there is `classify.api_key_env`."""

_MOST_BYTES = 10_000
_LOOKS_LIKE_A_KEY = re.compile(r"\b(?:sk|pk|rk|key|gsk|xai|hf)[-_][A-Za-z0-9_\-*.]{8,}")
_BEARER = re.compile(r"(?i)\bbearer\s+[A-Za-z0-9_\-.=+/]{6,}")


@dataclass(frozen=True, slots=True)
class Key:
    """A key and, for a person, where it was found."""

    secret: SecretStr
    place: str

    def redact(self, text: str) -> str:
        """A text without this key, and without anything that looks like one."""
        return redact(text, self.secret)


def redact(text: str, secret: SecretStr | None = None) -> str:
    """A text in which keys are blotted out: this one, in whole or in long parts, and what looks like one."""
    value = secret.get_secret_value() if secret is not None else ""
    if len(value) >= 6:
        text = text.replace(value, "[key]")
        text = text.replace(value[:12], "[key]").replace(value[-12:], "[key]") if len(value) >= 16 else text
    return _LOOKS_LIKE_A_KEY.sub("[key]", _BEARER.sub("[key]", text))


def default_file() -> Path:
    """The file that is looked for where the settings name none."""
    home = os.environ.get("XDG_CONFIG_HOME")
    base = (
        Path(home) / "tui-scraper" if home else platformdirs.user_config_path("tui-scraper", appauthor=False)
    )
    return base / "api-key"


def find_key(
    settings: ClassifySettings, environ: Mapping[str, str] = os.environ, *, default: bool = True
) -> Key | None:
    """The key for the endpoint of these settings; None where there is none.

    `default`: the file that is looked for where the settings name none may hold it.
    Raises UsageError where a file with a key could be read by others or cannot be read at all.
    """
    name = settings.api_key_env
    value = environ.get(name, "").strip()
    if value:
        return Key(_checked(value, f"${name}"), f"${name}")
    named = settings.api_key_file
    path = Path(os.path.expanduser(named)) if named else default_file()
    if named or (default and path.exists()):
        return _from_file(path)
    return _from_keyring(name)


def _from_file(path: Path) -> Key:
    shown = safe_text(str(path))
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise UsageError(f"{shown}: the file with the API key cannot be read ({error.strerror}).") from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{shown}: this is not a file with an API key.")
        if status.st_mode & 0o077:
            raise UsageError(
                f"{shown}: others may read this file with an API key; `chmod 600` it, and consider a new key."
            )
        text = os.read(descriptor, _MOST_BYTES)
    finally:
        os.close(descriptor)
    value = text.decode("utf-8", "replace").strip()
    if not value:
        raise UsageError(f"{shown}: the file with the API key is empty.")
    return Key(_checked(value, shown), shown)


def _from_keyring(name: str) -> Key | None:
    try:
        import keyring
    except ImportError:
        return None
    try:
        value = keyring.get_password(SERVICE, name)
    except Exception:  # a desktop's keyring that is locked, or not there: many servers
        return None
    return Key(_checked(value, "the keyring"), "the keyring") if value else None


def _checked(value: str, place: str) -> SecretStr:
    if not value.isascii() or not value.isprintable() or " " in value:
        raise UsageError(f"The API key in {place} holds characters that no key has; copy it again.")
    return SecretStr(value)
