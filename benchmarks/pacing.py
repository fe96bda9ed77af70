"""How much of what an endpoint allows is used, over a real socket with the real SDK.

    python -m benchmarks.pacing --llmock PATH/TO/llmock            600 and 6,000 requests, 400,000 tokens a
    minute python -m benchmarks.pacing --llmock … --rpm 600 --documents 3300

`llmock` (PyPI, in an environment of its own) is an independent server with quotas: buckets of one minute that
refill continuously, headers, and a 429 with the true wait beyond them; it also judges its clients. Its bucket
is full at first, so the share is taken after as many requests as would have emptied it; one document a
request, so that the pace and not the documents is what binds.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDS = [
    "invoice",
    "payment",
    "code",
    "meeting",
    "agenda",
    "patient",
    "river",
    "mountain",
    "novel",
    "price",
    "contract",
    "server",
    "daemon",
]
_STARTS_S = 30.0
_KEPT_FROM = 10
"""The server keeps its last 10,000 requests: where the first are gone, so is the bucket that was full."""
_TAIL = 10
"""Requests at the end that are left out: the last documents do not fill the pace."""


@dataclass(frozen=True)
class Limits:
    """What the server allows a minute. None: no limit. `documents` are enough for some minutes beyond it."""

    rpm: int | None
    tpm: int | None
    documents: int

    def __str__(self) -> str:
        parts = [f"{self.rpm:,} requests" if self.rpm else "", f"{self.tpm:,} tokens" if self.tpm else ""]
        return " and ".join(filter(None, parts)) + " a minute"


DEFAULT = (Limits(600, None, 3_300), Limits(6_000, None, 24_000), Limits(None, 400_000, 2_600))


def write_documents(folder: Path, count: int) -> None:
    """Documents of one length that all differ."""
    rng = random.Random(1)
    folder.mkdir()
    for number in range(count):
        words = " ".join(rng.choice(WORDS) for _word in range(120))
        (folder / f"{number:06}.txt").write_text(f"{words}\n{number}\n")


def measure(llmock: str, limits: Limits, latency_ms: int) -> str:
    """One run against one server. Returns the line to print."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    quotas = [
        *(["--rpm", str(limits.rpm)] if limits.rpm else []),
        *(["--tpm", str(limits.tpm)] if limits.tpm else []),
    ]
    server = subprocess.Popen(
        [
            llmock,
            "serve",
            "--port",
            str(port),
            *quotas,
            "--latency-ms",
            str(latency_ms),
            "--log-level",
            "error",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _ask(port, "/health", wait=True)
        with tempfile.TemporaryDirectory() as scratch:
            write_documents(Path(scratch) / "source", limits.documents)
            _run(Path(scratch), port)
        records = [one for one in _requests(port) if "chat" in one["path"]]
        verdict = _ask(port, "/_llmock/verdict")
    finally:
        server.terminate()
        server.wait()
    return _line(limits, records, "PASS" if json.loads(verdict)["passed"] else "FAIL")


def _run(scratch: Path, port: int) -> None:
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "sk-benchmark-0123456789",
        "TUI_SCRAPER_CLASSIFY__BACKEND": "openai",
        "TUI_SCRAPER_CLASSIFY__MODEL": "gpt-4o-mini",
        "TUI_SCRAPER_CLASSIFY__BASE_URL": f"http://127.0.0.1:{port}/v1",
        "TUI_SCRAPER_CLASSIFY__DOCS_PER_REQUEST": "1",
        "TUI_SCRAPER_OUTPUT__FORMATS": "[]",
    }
    subprocess.run(
        [
            sys.executable,
            "-m",
            "tui_scraper",
            "run",
            scratch / "source",
            "-w",
            scratch / "w",
            "--budget",
            "1000",
        ],
        env=environment,
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _requests(port: int) -> list[dict[str, Any]]:
    found = json.loads(_ask(port, "/_llmock/requests"))
    return found if isinstance(found, list) else list(found["requests"])


def _ask(port: int, path: str, *, wait: bool = False) -> bytes:
    until = time.monotonic() + _STARTS_S
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}") as reply:
                return bytes(reply.read())
        except (urllib.error.URLError, ConnectionError):
            if not wait or time.monotonic() > until:
                raise
            time.sleep(0.1)


def _line(limits: Limits, records: list[dict[str, Any]], verdict: str) -> str:
    refused = sum(one["status"] == 429 for one in records)
    good = sorted(one["started_at"] for one in records if one["status"] == 200)
    each = 1.0
    allowed = float(limits.rpm or 0)
    if limits.tpm:
        each = sum(map(_charged, records)) / max(len(records), 1)
        allowed = limits.tpm / each if each else 0.0
    dropped = records[0]["seq"] > _KEPT_FROM
    begins = len(good) // 5 if dropped else _steady_from(good, allowed)
    steady = good[begins:-_TAIL]
    rate = (len(steady) - 1) / (steady[-1] - steady[0]) * 60 if len(steady) > 1 else 0.0
    share = f"{rate / allowed:.1%} of the allowed" if allowed else f"{rate:.1f} requests a minute"
    return (
        f"{limits}: {share} over {steady[-1] - steady[0]:.0f} s, 429s {refused} of {len(records):,} "
        f"({refused / len(records):.2%}), verdict {verdict}"
    )


def _charged(record: dict[str, Any]) -> int:
    """What the server counts against its quota: a token for four bytes, and the limit of the answer."""
    body = record["body"]
    return len(json.dumps(body, separators=(",", ":")).encode()) // 4 + int(
        body.get("max_completion_tokens") or 0
    )


def _steady_from(sent: list[float], per_min: float) -> int:
    """The first request at which the bucket that was full at the beginning has been used up.

    The level of the server's bucket follows from the requests: it falls by one with each and rises with time.
    """
    if not per_min:
        return len(sent) // 2
    level, before = per_min, sent[0]
    for number, at in enumerate(sent):
        level = min(per_min, level + (at - before) * per_min / 60) - 1
        before = at
        if level < 0.1 * per_min:
            return number
    return len(sent) // 2


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--llmock", required=True, help="the program")
    parser.add_argument("--rpm", type=int)
    parser.add_argument("--tpm", type=int)
    parser.add_argument("--documents", type=int, default=3_000)
    parser.add_argument("--latency-ms", type=int, default=20)
    options = parser.parse_args()
    chosen = [Limits(options.rpm, options.tpm, options.documents)] if options.rpm or options.tpm else DEFAULT
    for limits in chosen:
        print(measure(options.llmock, limits, options.latency_ms), flush=True)


if __name__ == "__main__":
    main()
