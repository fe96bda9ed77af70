"""Keys: where they are found, what is refused, and that they are blotted out of what is shown."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from pydantic import SecretStr

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.llm.keys import find_key, redact
from tui_scraper.engine.settings import ClassifySettings

KEY = "sk-proj-abcdefghijklmnopqrstuvwxyz"


def test_the_environment_comes_first(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("another")
    file.chmod(0o600)
    key = find_key(ClassifySettings(api_key_env="MY_KEY", api_key_file=str(file)), {"MY_KEY": f" {KEY}\n"})
    assert key is not None
    assert key.secret.get_secret_value() == KEY
    assert key.place == "$MY_KEY"


def test_a_file_that_only_its_owner_can_read(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(f"{KEY}\n")
    file.chmod(0o600)
    key = find_key(ClassifySettings(api_key_file=str(file)), {})
    assert key is not None
    assert key.secret.get_secret_value() == KEY


@pytest.mark.parametrize(
    ("mode", "content", "sentence"),
    [(0o644, KEY, "others may read"), (0o600, " \n", "empty"), (0o600, "two words", "no key has")],
)
def test_a_file_that_will_not_do_is_refused(tmp_path: Path, mode: int, content: str, sentence: str) -> None:
    file = tmp_path / "key"
    file.write_text(content)
    file.chmod(mode)
    with pytest.raises(UsageError, match=sentence) as caught:
        find_key(ClassifySettings(api_key_file=str(file)), {})
    assert KEY not in str(caught.value)


def test_a_file_that_is_not_there_or_none_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name, sentence in (("missing", "cannot be read"), ("pipe", "not a file")):
        with pytest.raises(UsageError, match=sentence):
            find_key(ClassifySettings(api_key_file=str(tmp_path / name)), {})


def test_no_key_is_no_error() -> None:
    assert find_key(ClassifySettings(api_key_env="NO_SUCH_KEY_HERE"), {}) is None


def test_a_key_does_not_show_itself() -> None:
    key = find_key(ClassifySettings(), {"OPENAI_API_KEY": KEY})
    assert KEY not in f"{key!r} {key}"


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: {KEY}.",
        f"Authorization: Bearer {KEY}",
        f"key {KEY[:14]}… is wrong",
        "Incorrect API key provided: sk-somebody-elses-key-1234",
        "Bearer eyJhbGciOiJIUzI1NiJ9.e30",
        "gsk_abcdefghijkl0123",
    ],
)
def test_keys_are_blotted_out(text: str) -> None:
    shown = redact(text, SecretStr(KEY))
    assert "[key]" in shown
    assert KEY[:14] not in shown
    assert "somebody" not in shown
    assert "eyJ" not in shown
    assert "gsk_" not in shown
