"""The limits of a run that a person may change while it goes on: money, worker processes, calls in flight.

They hold for the engine of a workspace until it ends: for the pass that goes on and those after it. They are
never written to the settings file, and no document's result depends on them, so nothing is redone.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from tui_scraper.engine.errors import UsageError
from tui_scraper.engine.models import RunLimits
from tui_scraper.engine.safe_text import safe_text
from tui_scraper.engine.settings import ClassifySettings, Settings

BUDGET, WORKERS, CONCURRENCY = "classify.budget_usd", "engine.workers", "classify.concurrency"
LIMITS = (BUDGET, WORKERS, CONCURRENCY)
NO_MODEL = "No model is asked in this run, so there is no money and no call to limit."


def limited(settings: Settings, wanted: Mapping[str, object]) -> Settings:
    """The settings with other limits, by key. Raises UsageError with the sentence of what cannot be."""
    for key, value in wanted.items():
        if key not in LIMITS:
            known = ", ".join(LIMITS)
            raise UsageError(f"'{safe_text(key, limit=40)}' does not change in a run; these do: {known}.")
        settings = replaced(settings, key, value)
    return settings


def replaced(settings: Settings, key: str, value: object) -> Settings:
    """The settings with another value for `section.key`, by the rules of the settings file.

    A value may be as it was typed. Raises UsageError with a sentence where it cannot be.
    """
    section, _, name = key.partition(".")
    part = getattr(settings, section)
    if isinstance(value, str):
        value = value.strip().removeprefix("$").replace(",", "")
    try:
        new = type(part).model_validate({**part.model_dump(), name: value})
    except ValidationError as error:
        wanted = " or ".join(_wanted(problem["msg"]) for problem in error.errors())
        shown = safe_text(str(value), limit=40)
        raise UsageError(f"{key} cannot be '{shown}': it must be {wanted}.") from None
    return settings.model_copy(update={section: new})


def _wanted(message: str) -> str:
    """What pydantic says should be, without what it says beside that."""
    return message.removeprefix("Input should be ").partition(",")[0]


def limits_of(settings: Settings, *, asks: bool) -> RunLimits:
    """The limits that settings have."""
    classify = settings.classify
    calls = None if classify.concurrency == "auto" else classify.concurrency
    return RunLimits(classify.budget_usd, settings.engine.workers, calls, asks)


def described(before: RunLimits, after: RunLimits) -> list[str]:
    """The limits that differ, each with both values: `engine.workers 4 (was 2)`."""
    pairs = (
        (BUDGET, before.budget_usd, after.budget_usd),
        (WORKERS, before.workers, after.workers),
        (CONCURRENCY, before.concurrency or "auto", after.concurrency or "auto"),
    )
    return [f"{key} {new} (was {old})" for key, old, new in pairs if old != new]


def with_limits(settings: Settings, limits: RunLimits) -> Settings:
    """The settings with these limits."""
    concurrency: object = "auto" if limits.concurrency is None else limits.concurrency
    classify = settings.classify.model_copy(
        update={"budget_usd": limits.budget_usd, "concurrency": concurrency}
    )
    engine = settings.engine.model_copy(update={"workers": limits.workers})
    return settings.model_copy(update={"classify": classify, "engine": engine})


def with_limits_of(settings: Settings, other: Settings) -> Settings:
    """The settings with the limits of others."""
    engine = settings.engine.model_copy(update={"workers": other.engine.workers})
    classify = with_calls_limited(settings.classify, other.classify)
    return settings.model_copy(update={"classify": classify, "engine": engine})


def with_calls_limited(classify: ClassifySettings, other: ClassifySettings) -> ClassifySettings:
    """How a model is asked, with the limits of others on money and calls."""
    limits = {"budget_usd": other.budget_usd, "concurrency": other.concurrency}
    return classify.model_copy(update=limits)
