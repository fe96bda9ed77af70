"""Vectors of a model: how fast a run gets and keeps them, and how fast a search compares them.

    python -m benchmarks.vectors run --files 2000          beside the bare SDK, and a run without
    python -m benchmarks.vectors search --vectors 1000000  beside comparing all exactly with numpy
    python -m benchmarks.vectors search --dimensions 256   of the length that this machine makes

The server answers at once with vectors that were made before, so that the client is what is measured.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks import corpus
from tui_scraper.engine.search.vector_files import VectorFiles, open_vectors

DIMENSIONS = 512
TOGETHER = 128
IN_FLIGHT = 8
SPACE = bytes(16)


def _serve(pipe: Connection) -> None:
    rng = np.random.default_rng(0)
    items = []
    for index in range(2_048):
        vector = rng.standard_normal(DIMENSIONS).astype("<f4").tobytes()
        packed = base64.b64encode(vector).decode()
        items.append(f'{{"object":"embedding","index":{index},"embedding":"{packed}"}}'.encode())

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()
                return
            fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
            body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
            data = b'{"data":[]}'
            if body:
                count = len(json.loads(body)["input"])
                tokens = len(body) // 4
                usage = b',"usage":{"prompt_tokens":%d,"total_tokens":%d}}' % (tokens, tokens)
                data = b'{"object":"list","data":[' + b",".join(items[:count]) + b"]" + usage
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(data)
            )
            writer.write(data)
            await writer.drain()

    async def serve() -> None:
        server = await asyncio.start_server(answer, "127.0.0.1", 0, limit=1 << 24)
        pipe.send(server.sockets[0].getsockname()[1])
        await server.serve_forever()

    asyncio.run(serve())


@contextmanager
def serving() -> Iterator[str]:
    """A server in a process of its own. Gives its URL."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}/v1"
    finally:
        process.terminate()
        process.join()


def run_once(source: Path, workspace: Path, url: str, embeddings: str) -> float:
    """Seconds of a whole run, from start to end of the process."""
    environment = {
        **os.environ,
        "OPENAI_API_KEY": "sk-benchmark-0123456789",
        "TUI_SCRAPER_CLASSIFY__BACKEND": "local",
        "TUI_SCRAPER_CLASSIFY__BASE_URL": url,
        "TUI_SCRAPER_INDEX__EMBEDDINGS": embeddings,
    }
    command = [sys.executable, "-m", "tui_scraper", "run", str(source), "-w", str(workspace)]
    began = time.perf_counter()
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def passages_of(workspace: Path) -> list[str]:
    """The chunks of an export."""
    found = []
    with (workspace / "export" / "documents.jsonl").open(encoding="utf-8") as file:
        for line in file:
            found += [chunk["text"] for chunk in json.loads(line)["chunks"]]
    return found


async def bare(url: str, texts: list[str]) -> float:
    """Seconds in which the SDK alone asks for the vectors of some texts and reads them, and keeps nothing."""
    import openai

    async with openai.AsyncOpenAI(
        base_url=url, api_key="none", http_client=openai.DefaultAioHttpClient(), max_retries=0
    ) as client:
        packs = iter([texts[at : at + TOGETHER] for at in range(0, len(texts), TOGETHER)])

        async def work() -> None:
            for pack in packs:
                await client.embeddings.create(model="m", input=pack, dimensions=DIMENSIONS)

        began = time.perf_counter()
        await asyncio.gather(*(work() for _ in range(IN_FLIGHT)))
        return time.perf_counter() - began


def measure_run(files: int, turns: int) -> None:
    """Runs with and without vectors, and the bare SDK, by turns."""
    with tempfile.TemporaryDirectory() as scratch, serving() as url:
        source = Path(scratch) / "source"
        corpus.write_small_text(source, files)
        figures: dict[str, list[float]] = {"with": [], "without": [], "bare": [], "again": []}
        for turn in range(turns):
            workspace = Path(scratch) / f"w{turn}"
            figures["with"].append(run_once(source, workspace, url, "openai"))
            figures["again"].append(run_once(source, workspace, url, "openai"))
            figures["without"].append(run_once(source, Path(scratch) / f"n{turn}", url, "none"))
            texts = passages_of(workspace)
            figures["bare"].append(asyncio.run(bare(url, texts)))
    for name, seconds in figures.items():
        best, worst = min(seconds), max(seconds)
        middle = statistics.median(seconds)
        each = len(texts) / middle
        print(f"{name:8} {middle:6.2f} s ({best:.2f} – {worst:.2f}), {each:9,.0f} passages/s")
    share = statistics.median(figures["bare"]) / statistics.median(figures["with"])
    print(f"{files:,} files, {len(texts):,} passages; {share:.0%} of the bare SDK, all phases included")


def _clustered(count: int, size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Unit vectors around a few hundred centres, as texts about a few hundred things have."""
    centres = rng.standard_normal((300, size)).astype(np.float32)
    chosen = rng.integers(0, len(centres), count)
    made = centres[chosen] + rng.standard_normal((count, size), dtype=np.float32)
    made /= np.linalg.norm(made, axis=1, keepdims=True)
    return made


def measure_search(count: int, queries: int, size: int) -> None:
    """Nearest ten: by our files, and exactly by all float32 numbers."""
    rng = np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as scratch:
        files = VectorFiles(Path(scratch), SPACE)
        exact = np.empty((count, size), np.float32)
        began = time.perf_counter()
        for at in range(0, count, 50_000):
            made = _clustered(min(50_000, count - at), size, rng)
            exact[at : at + len(made)] = made
            small = np.rint(made * (127 / np.abs(made).max(axis=1, keepdims=True))).astype(np.int8)
            for start in range(0, len(small), 100):
                files.add(
                    1 + (at + start) // 100,
                    range(len(small[start : start + 100])),
                    small[start : start + 100],
                )
            files.commit()
        print(f"written: {count:,} vectors of {size} in {time.perf_counter() - began:.1f} s")
        files.close()
        ours, theirs, found = [], [], 0
        for query in exact[rng.integers(0, count, queries)] + rng.standard_normal(
            (queries, size), dtype=np.float32
        ) * (0.5 / size**0.5):
            began = time.perf_counter()
            reader = open_vectors(Path(scratch), SPACE, count)
            assert reader is not None
            nearest = [hit for hit, _ in zip(reader.nearest(query), range(10), strict=False)]
            ours.append(time.perf_counter() - began)
            began = time.perf_counter()
            scores = exact @ query
            best = np.argpartition(-scores, 10)[:10]
            theirs.append(time.perf_counter() - began)
            places = {(artifact - 1) * 100 + ordinal for _score, artifact, ordinal in nearest}
            found += len(places & set(best.tolist()))
    for name, seconds in (("files", ours), ("exact, float32 in memory", theirs)):
        ordered = sorted(seconds)
        p50, p95 = ordered[len(ordered) // 2] * 1e3, ordered[int(len(ordered) * 0.95)] * 1e3
        print(f"{name}: p50 {p50:.1f} ms, p95 {p95:.1f} ms")
    print(f"recall@10 {found / (10 * queries):.3f}")


def main() -> None:
    """From the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    actions = parser.add_subparsers(dest="what", required=True)
    running = actions.add_parser("run")
    running.add_argument("--files", type=int, default=2_000)
    running.add_argument("--turns", type=int, default=3)
    searching = actions.add_parser("search")
    searching.add_argument("--vectors", type=int, default=1_000_000)
    searching.add_argument("--queries", type=int, default=100)
    searching.add_argument("--dimensions", type=int, default=DIMENSIONS)
    options = parser.parse_args()
    if options.what == "run":
        measure_run(options.files, options.turns)
    else:
        measure_search(options.vectors, options.queries, options.dimensions)


if __name__ == "__main__":
    main()
