"""Settings: pydantic models of `tui-scraper.toml`, and how the four sources are laid over each other.

Precedence is flags > environment > file > defaults. Every key that exists here does something;
an unknown one is an error that names the closest known key.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from tui_scraper.engine.errors import UsageError

ENV_PREFIX = "TUI_SCRAPER_"
FILE_NAME = "tui-scraper.toml"
_MAX_FILE_BYTES = 1_000_000
_UNITS = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def parse_size(value: object) -> object:
    """Turn '100 MB' into 100_000_000. Other values pass through for pydantic to judge."""
    if not isinstance(value, str):
        return value
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]?b?)\s*", value.lower())
    if match is None:
        raise ValueError(f"'{value}' is not a size such as '100 MB' or 5000000")
    unit = match[2] if match[2].endswith("b") or not match[2] else match[2] + "b"
    return int(float(match[1]) * _UNITS[unit])


Size = Annotated[int, BeforeValidator(parse_size), Field(le=10**18)]
"""Bytes, up to an exabyte: what SQLite can count."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class InputSettings(_Section):
    """Which files of the source folder are documents."""

    include: list[str] = Field(default=[], description="patterns in .gitignore style; empty: every file")
    exclude: list[str] = Field(default=[], description="patterns in .gitignore style that are left out")
    gitignore: bool = Field(default=False, description="leave out what .gitignore files leave out")
    max_file_size: Size = Field(default=100_000_000, gt=0, description="larger files fail as 'too large'")
    archives: bool = Field(default=True, description="open archives, and what is attached to mails")
    follow_symlinks: bool = Field(default=False, description="follow links to files inside the folder")


class CleanSettings(_Section):
    """Limits of text extraction. Reaching one marks the document, never drops it silently."""

    max_chars: int = Field(default=10_000_000, gt=0, description="characters of text kept of one document")
    max_pdf_pages: int = Field(default=2_000, gt=0, description="pages read of one PDF")
    max_html_depth: int = Field(default=512, gt=0, le=4096, description="depth of nested HTML elements")
    ocr: Literal["auto", "off"] = Field(
        default="auto", description="auto: read pictures and scanned pages where Tesseract is installed"
    )
    ocr_languages: str = Field(
        default="eng",
        pattern=r"^[A-Za-z0-9_]{2,40}(\+[A-Za-z0-9_]{2,40}){0,9}$",
        description="languages that Tesseract looks for, such as 'eng+deu'",
    )
    timeout_s: float = Field(default=60.0, gt=0, description="wall-clock seconds for one document")
    cpu_s: int = Field(default=30, gt=0, description="CPU seconds for one document")
    worker_memory: Size = Field(
        default=2_000_000_000, ge=500_000_000, description="address space of a worker, bytes"
    )


class ChunkSettings(_Section):
    """How clean text is cut."""

    max_tokens: int = Field(default=512, ge=16, le=100_000, description="tokens of a chunk, at most")
    overlap: int = Field(default=64, ge=0, description="tokens repeated from the chunk before")
    tokenizer: Literal["o200k", "cl100k"] = Field(default="o200k", description="vocabulary of the counts")

    @model_validator(mode="after")
    def _overlap_fits(self) -> ChunkSettings:
        if self.overlap * 2 > self.max_tokens:
            raise ValueError("overlap must be at most half of max_tokens")
        return self


class LabelSettings(_Section):
    """One label of the taxonomy."""

    name: str = Field(min_length=1, max_length=100)
    description: str = ""
    keywords: list[str] = []
    examples: list[str] = []


class ClassifySettings(_Section):
    """How documents are labelled."""

    backend: Literal["auto", "openai", "local", "rules"] = Field(
        default="auto",
        description="auto: openai where a key is set, else local; local: embeddings, rules; rules: keywords",
    )
    model: str = Field(
        default="gpt-6-luna", min_length=1, max_length=200, description="the model that is asked"
    )
    base_url: str = Field(
        default="",
        max_length=2000,
        description="an OpenAI-compatible endpoint; empty: OPENAI_BASE_URL or OpenAI",
    )
    api_version: str = Field(default="", max_length=40, description="only for Azure's versioned endpoints")
    api_key_env: str = Field(
        default="OPENAI_API_KEY",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="the environment variable (or keyring entry) with the key",
    )
    api_key_file: str = Field(default="", description="a file with the key that nobody else may read (0600)")
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] = Field(
        default="none", description="more than none costs more and is slower"
    )
    instructions: str = Field(
        default="", max_length=20_000, description="what the model should know beyond the labels"
    )
    docs_per_request: Literal["auto"] | Annotated[int, Field(ge=1, le=16)] = Field(
        default="auto", description="documents asked about together; auto: 16, 8 or 1, by their size"
    )
    timeout_s: float = Field(
        default=15.0, gt=0, le=600, description="seconds for one call, from start to end"
    )
    max_retries: int = Field(default=5, ge=0, le=9, description="how often a call that failed is tried again")
    concurrency: Literal["auto"] | Annotated[int, Field(ge=1, le=1000)] = Field(
        default="auto", description="calls at the same time; auto: what the endpoint takes"
    )
    budget_usd: float = Field(
        default=1.0, ge=0, le=1_000_000, description="dollars that this workspace may spend on models, in all"
    )
    budget_tokens: int = Field(
        default=0, ge=0, le=10**15, description="tokens it may spend in all; 0: no limit"
    )
    unsaved_tokens: int = Field(
        default=100_000, ge=1, le=10**12, description="tokens paid without a label to show for it: then stop"
    )
    price_in_usd: float | None = Field(
        default=None,
        ge=0,
        le=100_000,
        description="dollars a million tokens sent, where the price is not known",
    )
    price_cached_usd: float | None = Field(
        default=None, ge=0, le=100_000, description="the same for tokens in the provider's cache"
    )
    price_out_usd: float | None = Field(
        default=None, ge=0, le=100_000, description="dollars a million tokens received"
    )
    near_duplicates: bool = Field(
        default=False, description="ask a model about one of several documents that are nearly the same"
    )
    on_budget: Literal["pause", "offline"] = Field(
        default="pause", description="when the budget is used up: pause, or label the rest offline"
    )
    on_outage: Literal["pause", "offline"] = Field(
        default="pause", description="when the endpoint cannot be reached: wait, or label the rest offline"
    )
    labels: list[LabelSettings] = Field(default=[], description="the taxonomy; empty: a general one")
    multi_label: bool = Field(default=False, description="allow more than one label for a document")
    digest_tokens: int = Field(
        default=112, ge=16, le=8192, description="tokens of a document that are read for its label"
    )
    """112 labels as well as 160 in about four fifths of the time (docs/benchmarks.md)."""

    @model_validator(mode="after")
    def _price_is_whole(self) -> ClassifySettings:
        if (self.price_in_usd is None) != (self.price_out_usd is None):
            raise ValueError("price_in_usd and price_out_usd belong together")
        return self

    @model_validator(mode="after")
    def _names_differ(self) -> ClassifySettings:
        names = [label.name for label in self.labels]
        if len(set(names)) != len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(f"label '{twice}' is defined twice")
        if len(names) == 1:
            raise ValueError("a taxonomy needs at least two labels")
        return self


class IndexSettings(_Section):
    """What a search knows besides words."""

    embeddings: Literal["local", "openai", "none"] = Field(
        default="local",
        description="whose vectors a search finds by meaning with: local: made here; openai: a model's; "
        "none: words only",
    )
    model: str = Field(
        default="text-embedding-3-small",
        min_length=1,
        max_length=200,
        description="with openai: the model of the vectors",
    )
    dimensions: int = Field(
        default=512, ge=0, le=8192, description="numbers of a vector; 0: as many as the model gives"
    )
    """text-embedding-3-small has 1,536 and is made to be cut: 512 take a third of the room and the time."""
    base_url: str = Field(
        default="", max_length=2000, description="an OpenAI-compatible endpoint; empty: classify.base_url"
    )
    api_key_env: str = Field(
        default="",
        pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$",
        description="the variable with its key; empty: that of classify, if the endpoint is the same",
    )
    api_key_file: str = Field(default="", description="a file with its key (0600)")
    price_usd: float | None = Field(
        default=None, ge=0, le=100_000, description="dollars a million tokens, where the price is not known"
    )


ALIKE = 0.85
"""Similarity, the estimated share of common runs of words, from which on texts count as near-duplicates."""
LEAST_ALIKE = 0.5
"""Below this, much of what is alike would not be found."""


class OutputSettings(_Section):
    """What is exported at the end of a run."""

    formats: list[Literal["jsonl", "parquet", "csv", "markdown"]] = Field(
        default=["jsonl"],
        description='"jsonl", "parquet", "csv", "markdown", or several; an empty list exports nothing',
    )
    dir: str = Field(default="", description="empty: the folder 'export' in the workspace")
    near_duplicates: float = Field(
        default=ALIKE,
        ge=0,
        le=1,
        description="similarity from which on texts are near-duplicates, 0.5 to 1; 0: not exported",
    )

    @field_validator("near_duplicates")
    @classmethod
    def _can_be_found(cls, value: float) -> float:
        if 0 < value < LEAST_ALIKE:
            raise ValueError(f"must be 0, or from {LEAST_ALIKE:g} to 1: less alike is not found")
        return value


class EngineSettings(_Section):
    """Resources and cadence."""

    workers: int = Field(default=0, ge=0, le=256, description="worker processes; 0: one for each core")
    checkpoint_every_docs: int = Field(
        default=100, ge=1, description="a checkpoint after so many (but at most one a second), or …"
    )
    checkpoint_every_s: float = Field(
        default=10.0, ge=0, description="… after so many seconds, if anything was done meanwhile"
    )
    memory_limit: Size = Field(default=1_000_000_000, ge=100_000_000, description="above it, reading pauses")


class UiSettings(_Section):
    """How the TUI looks."""

    theme: str = Field(default="dark", description="colours: one of those that `tui-scraper themes` lists")
    refresh_hz: float = Field(
        default=4.0, gt=0, le=30, description="how often the screen is painted, a second"
    )


class Settings(_Section):
    """Everything that can be configured."""

    input: InputSettings = InputSettings()
    clean: CleanSettings = CleanSettings()
    chunk: ChunkSettings = ChunkSettings()
    classify: ClassifySettings = ClassifySettings()
    index: IndexSettings = IndexSettings()
    output: OutputSettings = OutputSettings()
    engine: EngineSettings = EngineSettings()
    ui: UiSettings = UiSettings()


def load(
    file: Path | None = None,
    overrides: Mapping[str, Mapping[str, Any]] | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Settings:
    """Read the settings from all four sources.

    `file` is the one named by `--config`; without it `tui-scraper.toml` in the current directory
    is read, else the one in the XDG configuration directory, else none. `overrides` are flags, as
    section -> key -> value.

    Raises UsageError with a sentence that names the file, the key and a suggestion.
    """
    path = file or default_file(environ)
    merged: dict[str, Any] = {}
    if path is not None:
        merged = _read_toml(path)
    _lay_over(merged, _from_environment(environ))
    _lay_over(merged, {name: dict(keys) for name, keys in (overrides or {}).items()})
    try:
        return Settings.model_validate(merged)
    except ValidationError as error:
        raise UsageError(_explain(error, str(path) if path else "the settings")) from None


def recorded(text: str) -> Settings:
    """The settings of an earlier run, from the JSON that it left.

    Those of another version of the program may hold what this one does not know: that is left out.
    """
    try:
        return Settings.model_validate_json(text)
    except ValidationError as error:
        raw: dict[str, Any] = json.loads(text)
        for problem in error.errors():
            section, *rest = problem["loc"]
            part = raw.get(str(section))
            if isinstance(part, dict) and rest:
                part.pop(str(rest[0]), None)
            else:
                raw.pop(str(section), None)
        return Settings.model_validate(raw)


def config_directory(environ: Mapping[str, str] = os.environ) -> Path:
    """Where a person's own settings and themes are."""
    return Path(environ.get("XDG_CONFIG_HOME") or str(Path.home() / ".config")) / "tui-scraper"


def default_file(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The settings file that is read when none is named; None where there is none."""
    for candidate in (Path(FILE_NAME), config_directory(environ) / FILE_NAME):
        if candidate.is_file():
            return candidate
    return None


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            raise UsageError(f"{path}: this is too large for a settings file.")
        return tomllib.loads(data.decode("utf-8"))
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such settings file; `tui-scraper init` writes one.") from None
    except OSError as error:
        raise UsageError(f"{path}: the settings file cannot be read ({error.strerror}).") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: the settings file is not UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"{path}: this is not valid TOML: {error}.") from None


def _from_environment(environ: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """`TUI_SCRAPER_CHUNK__MAX_TOKENS=256` sets `[chunk] max_tokens`; lists are TOML arrays."""
    found: dict[str, dict[str, Any]] = {}
    for name, value in environ.items():
        section, separator, key = name.removeprefix(ENV_PREFIX).lower().partition("__")
        if name.startswith(ENV_PREFIX) and separator:
            found.setdefault(section, {})[key] = _scalar(value)
    return found


def _scalar(text: str) -> Any:
    try:
        return tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        return text


def _lay_over(base: dict[str, Any], top: Mapping[str, Mapping[str, Any]]) -> None:
    for section, keys in top.items():
        below = base.get(section)
        base[section] = {**below, **keys} if isinstance(below, dict) else dict(keys)


def _known_keys(location: tuple[int | str, ...]) -> list[str]:
    model: Any = Settings
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        if field is None:
            return []
        model = LabelSettings if part == "labels" else field.annotation
    return list(model.model_fields) if hasattr(model, "model_fields") else []


def _explain(error: ValidationError, where: str) -> str:
    sentences = []
    for problem in error.errors():
        location = problem["loc"]
        name = ".".join(str(part) for part in location) or "the file"
        if problem["type"] == "extra_forbidden":
            known = _known_keys(location[:-1])
            close = difflib.get_close_matches(str(location[-1]), known, n=1, cutoff=0.5)
            hint = f"did you mean '{close[0]}'?" if close else f"known here: {', '.join(known)}."
            sentences.append(f"{where}: '{name}' is not a setting; {hint}")
        else:
            message = problem["msg"].removeprefix("Value error, ")
            message = message[0].lower() + message[1:]
            sentences.append(f"{where}: {name}: {message}.")
    return "\n".join(sentences)
