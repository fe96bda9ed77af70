"""The settings file that `init` writes: every key with its default and what it does, all commented out.

Made from the models, so that it cannot tell of a setting that does not exist.
"""

from __future__ import annotations

from collections.abc import Iterator

import tomli_w

from tui_scraper.engine.settings import ClassifySettings, Settings

_HEAD = """\
# Settings of tui-scraper. Flags come before the environment (TUI_SCRAPER_CHUNK__MAX_TOKENS=256), the
# environment before this file, this file before the defaults. Every line below is a default: take
# the '#' away and change it. An unknown key is an error, so a typing mistake cannot go unnoticed.
"""

_EXAMPLE = 0.1
"""What is shown for a number that has no default."""

_LABELS = """\
# A taxonomy of your own, in place of the general one: at least two labels.
# [[classify.labels]]
# name = "invoice"
# description = "bills, invoices, receipts and reminders to pay"
# keywords = ["invoice", "amount due"]
# examples = ["Invoice no. 4711, payable within 30 days"]
"""


def differing(settings: Settings) -> Iterator[str]:
    """Those settings that are not the defaults, a line each: `chunk.max_tokens = 256`."""
    for section, field in Settings.model_fields.items():
        defaults, chosen = field.default, getattr(settings, section)
        for key in type(chosen).model_fields:
            value = getattr(chosen, key)
            if value != getattr(defaults, key):
                plain = chosen.model_dump(mode="json")[key]
                yield f"{section}.{' '.join(tomli_w.dumps({key: plain}).split())}"


def commented() -> str:
    """The text of a `tui-scraper.toml` that changes nothing."""
    parts = [_HEAD]
    for section, field in Settings.model_fields.items():
        model = field.annotation
        assert model is not None
        documentation = (model.__doc__ or "").strip().split("\n", 1)[0]
        parts.append(f"\n# {documentation}\n[{section}]\n")
        for key, setting in model.model_fields.items():
            if model is ClassifySettings and key == "labels":
                continue
            if setting.default is None:  # a value here would not be the default: it stays a comment
                parts.append(f"## {key} = {_EXAMPLE}  # {setting.description}; no default\n")
                continue
            line = " ".join(tomli_w.dumps({key: setting.default}).split())
            comment = f"  # {setting.description}" if setting.description else ""
            parts.append(f"# {line}{comment}\n")
    parts.append("\n" + _LABELS)
    return "".join(parts)
