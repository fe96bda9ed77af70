"""An OpenAI-compatible endpoint on loopback that is as bad as it is told to be, and keeps a journal of it.

    python -m tests.llm.model_server --share 0.4 --seed 1 --journal FILE     the first line is its URL
    python -m tests.llm.model_server --list                                  what it may do to a client

It serves chat/completions, decisions, embeddings and models under `/v1`, and under `/openai` as Azure does.
Labels hang on the text of a document alone, and what a request gets on its body, the seed and how often that
body came before: a client that is right ends with the same labels whatever happened on the way, and the
journal tells what it paid twice. A second listener, on another host, notes whether a key ever reached it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import signal
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from types import TracebackType
from typing import Any

from tests.llm import answers, bad_answers, bad_statuses, bad_wires
from tests.llm.behaviours import ASKED, BEHAVIOURS, Behaviour, Bill, Client, Draw, Exchange
from tests.llm.journal import FOREIGN, Journal, Record
from tests.llm.limits import Quotas, RefusedError, check_key, check_parameters, not_found, route
from tests.llm.wire import LIMIT_BYTES, GoneError, Request, Wire, read_request

KEY = "sk-tests-0123456789abcdefghijklmnopqrstuv"
MODELS: Mapping[str, str | None] = {
    "gpt-6-luna": None,
    "gpt-5-nano": None,
    "gpt-4o-mini": "2026-03-31",
    "text-embedding-3-small": None,
}
LABELS = ("invoice", "contract", "letter", "report", "other")

_ = (bad_answers, bad_statuses, bad_wires)  # they are imported to be in the registry


@dataclass(frozen=True, slots=True)
class Manners:
    """How the server behaves.

    `share`: of the requests that misbehave, 0 to 1; None is all where `only` says how, otherwise none.
    `only`: these behaviours, not all; `script`: those of the first requests, each for the next request that
    it makes sense for. `fatal`: draw by chance also what rightly ends a run. `disturbs`: the APIs where there
    is misbehaviour by chance. `key`: the right one; None takes any. `labels`: where a request brings no
    schema. `models`: the day on which they go, by id. `rpm`, `tpm`: quotas a minute. `rejects`: PARAMETER,
    PARAMETER=VALUE, json_schema or json_object. `latency_s`: of good and bad answers, more or less by
    `jitter` of it. `deadline_s`: what the client is expected to wait. `reasoning_tokens`: of each answer of
    chat. `dimensions`: of vectors, where a request says nothing. `longest`: characters of a text that
    gets a vector.
    """

    share: float | None = None
    seed: int = 0
    only: Sequence[str] = ()
    script: Sequence[str] = ()
    fatal: bool = False
    disturbs: Sequence[str] = ASKED
    key: str | None = KEY
    labels: Sequence[str] = LABELS
    models: Mapping[str, str | None] = field(default_factory=lambda: dict(MODELS))
    decisions: bool = True
    rpm: int | None = None
    tpm: int | None = None
    rejects: Sequence[str] = ()
    latency_s: float = 0.0
    jitter: float = 0.25
    deadline_s: float = 1.0
    reasoning_tokens: int = 0
    dimensions: int = 64
    longest: int | None = None


class ModelServer:
    """The server, in the event loop that enters it. Takes what `Manners` has, a port and a file to write to.

    What went wrong in it is raised where it is left, not only in what the client saw. `names` are those of
    all headers that have come.
    """

    def __init__(self, *, port: int = 0, journal: str | None = None, **manners: Any) -> None:
        self.manners = Manners(**manners)
        self._journal_path = journal
        self._port = port
        share = self.manners.share
        self._draw = Draw(
            float(bool(self.manners.only)) if share is None else share,
            self.manners.seed,
            self.manners.only,
            self.manners.script,
            fatal=self.manners.fatal,
            disturbs=self.manners.disturbs,
        )
        self._quotas = Quotas(self.manners.rpm, self.manners.tpm)
        self._listeners: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._mistakes: list[Exception] = []
        self.names: set[str] = set()
        self.url = self.azure_url = self.elsewhere = ""

    @property
    def records(self) -> list[Record]:
        """What came so far, in order."""
        return self._journal.records

    async def __aenter__(self) -> ModelServer:
        self._journal = Journal(self._journal_path)
        main, foreign = self._serving(self._answer), self._serving(self._answer_elsewhere)
        for serve, host, port in ((main, "127.0.0.1", self._port), (foreign, "127.0.0.2", 0)):
            listener = await asyncio.start_server(serve, host, port, limit=LIMIT_BYTES, backlog=1024)
            self._listeners.append(listener)
        here, there = (f"http://{host}:{port}" for host, port in map(_address, self._listeners))
        self.url, self.azure_url, self.elsewhere = f"{here}/v1", here, there
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for listener in self._listeners:
            listener.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)
        self._journal.close()
        if self._mistakes:
            raise self._mistakes[0]

    def _serving(
        self, answer: Callable[[Request, Wire], Coroutine[Any, Any, None]]
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._connections.add(task)
            try:
                wire = Wire(reader, writer)
                while wire.keep and (request := await read_request(reader)) is not None:
                    await answer(request, wire)
                writer.close()
            except GoneError:
                writer.transport.abort()
            except asyncio.CancelledError:
                writer.transport.abort()
            except Exception as error:
                self._mistakes.append(error)
                writer.transport.abort()
                raise
            finally:
                self._connections.discard(task)

        return serve

    # --- one request ------------------------------------------------------------------------------

    async def _answer(self, request: Request, wire: Wire) -> None:
        record = self._begun(request)
        self.names.update(request.headers)
        wire.begin(request, b"x-request-id: req_%d\r\n" % record.number)
        try:
            answer = self._understood(request, record)
        except RefusedError as refused:
            record.behaviour, record.status = f"refused: {refused.code or refused.status}", refused.status
            self._journal.decided(record)
            wire.headers += self._quotas.headers()
            await self._finish(record, wire, wire.send(refused.status, refused.body, refused.headers))
            return
        behaviour, record.seen, lot = self._draw.draw(answer.api, request.body or request.path.encode())
        _note(record, answer, behaviour)
        self._journal.decided(record)
        wire.headers += self._quotas.headers()
        exchange = Exchange(request, answer, wire, self.manners.deadline_s, self.elsewhere)
        await self._finish(record, wire, self._act(behaviour, exchange, lot))

    def _begun(self, request: Request) -> Record:
        credential = request.credential
        return Record(
            number=len(self.records) + 1,
            received=time.monotonic(),
            path=request.path,
            credentials=credential is not None,
            right_key=credential is not None and credential == (self.manners.key or credential),
        )

    def _understood(self, request: Request, record: Record) -> answers.Answer:
        """The good answer to a request. Raises RefusedError."""
        manners = self.manners
        check_key(request.credential, manners.key)
        api, named = route(request)
        record.api = api
        if api == "models":
            if named is not None:
                self._check_model(named)
            return answers.models(manners.models, named)
        if api == "decisions" and not manners.decisions:
            raise not_found(request)
        try:
            body = json.loads(request.body)
        except (ValueError, RecursionError):
            body = None
        if not isinstance(body, dict):
            raise RefusedError(400, None, "We could not parse the JSON body of your request.")
        model = self._check_model(named or body.get("model"))
        check_parameters(body, manners.rejects)
        size = len(request.body)
        self._quotas.take(size // 4)
        try:
            if api == "chat":
                return answers.chat(body, model, size, manners.labels, manners.reasoning_tokens)
            if api == "decisions":
                return answers.decisions(body, model, size)
            return answers.embeddings(body, model, size, manners.dimensions, manners.longest)
        except (LookupError, TypeError, ValueError, AttributeError) as error:  # a body of another shape
            raise RefusedError(400, None, f"Invalid request: {error!r}") from error

    def _check_model(self, model: Any) -> str:
        if not isinstance(model, str) or model not in self.manners.models:
            message = f"The model `{model}` does not exist or you do not have access to it."
            raise RefusedError(404, "model_not_found", message, param="model")
        return model

    async def _act(self, behaviour: Behaviour, exchange: Exchange, lot: float) -> None:
        if self.manners.latency_s:
            await asyncio.sleep(self.manners.latency_s * (1 + self.manners.jitter * (2 * lot - 1)))
        await behaviour.act(exchange)

    async def _finish(self, record: Record, wire: Wire, writing: Coroutine[Any, Any, None]) -> None:
        try:
            await writing
        finally:
            self._journal.answered(record, time.monotonic(), whole=wire.whole)

    async def _answer_elsewhere(self, request: Request, wire: Wire) -> None:
        """Say something that a client could take for an answer, had it followed a redirect."""
        record = self._begun(request)
        record.behaviour = FOREIGN
        self._journal.decided(record)
        wire.begin(request, b"")
        body = answers.chat({"messages": [{"role": "user"}]}, "foreign", 0, self.manners.labels, 0).body()
        await self._finish(record, wire, wire.send(200, body))


def _note(record: Record, answer: answers.Answer, behaviour: Behaviour) -> None:
    """Write into the record what the request will get."""
    record.behaviour, record.status = behaviour.name, behaviour.status
    record.good = behaviour.client is Client.ACCEPT and not answer.cut
    record.documents = {name: answers.text_hash(text) for name, text in answer.documents.items()}
    if behaviour.bill is not Bill.NOTHING and answer.api in ASKED:
        record.billed = True
        record.tokens_in = answer.tokens_in
        record.tokens_out = answer.tokens_out if behaviour.bill is Bill.ANSWER else 0


def _address(listener: asyncio.Server) -> tuple[str, int]:
    host, port = listener.sockets[0].getsockname()
    return host, port


@contextlib.contextmanager
def serving(*, port: int = 0, journal: str | None = None, **manners: Any) -> Iterator[ModelServer]:
    """The server in a thread of its own, for tests without an event loop."""
    server = ModelServer(port=port, journal=journal, **manners)
    up = threading.Event()
    loop, over = asyncio.new_event_loop(), asyncio.Event()
    failed: list[BaseException] = []

    async def serve() -> None:
        async with server:
            up.set()
            await over.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:
            failed.append(error)
        finally:
            loop.close()
            up.set()

    thread = threading.Thread(target=run, name="model server", daemon=True)
    thread.start()
    up.wait()
    try:
        if not failed:
            yield server
    finally:
        if thread.is_alive():
            with contextlib.suppress(RuntimeError):  # it has ended in between
                loop.call_soon_threadsafe(over.set)
        thread.join()
    if failed:
        raise failed[0]


# --- as a program ---------------------------------------------------------------------------------


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split(","))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    numbers = (("share", float), ("seed", int), ("rpm", int), ("tpm", int), ("latency-s", float))
    more = (("jitter", float), ("deadline-s", float), ("reasoning-tokens", int), ("dimensions", int))
    for name, kind in (("port", int), *numbers, *more):
        parser.add_argument(f"--{name}", type=kind)
    for name in ("only", "script", "disturbs", "labels"):
        parser.add_argument(f"--{name}", type=_names, metavar="NAME,…")
    parser.add_argument("--fatal", action="store_true", default=None, help="draw what ends a run, too")
    parser.add_argument("--key", help=f"the right one (default: {KEY})")
    parser.add_argument("--model", action="append", metavar="ID[=DATE]", help="and the day on which it goes")
    parser.add_argument("--rejects", action="append", metavar="PARAMETER[=VALUE]")
    parser.add_argument("--no-decisions", dest="decisions", action="store_false", default=None)
    parser.add_argument("--journal", metavar="FILE")
    parser.add_argument("--list", action="store_true", help="show all behaviours")
    return parser


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    given = {name: value for name, value in vars(_parser().parse_args()).items() if value is not None}
    if given.pop("list"):
        for one in BEHAVIOURS.values():
            print(f"{one.name:22} {one.client:10} {one.bill:8} {'fatal' if one.fatal else '':6} {one.says}")
        return
    if "model" in given:
        pairs = (text.partition("=") for text in given.pop("model"))
        given["models"] = {name: until or None for name, _, until in pairs}
    assert set(given) <= {"port", "journal", *(one.name for one in fields(Manners))}

    async def serve() -> None:
        over = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, over.set)
        async with ModelServer(**given) as server:
            print(server.url, flush=True)
            await over.wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
