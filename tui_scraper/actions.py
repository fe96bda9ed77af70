"""The one registry of what a person can do: keys, words, help and when it is possible.

Bindings, footer, palette and help are all made from `ACTIONS`, so they cannot disagree. An action
that cannot be used now stays in its place and `reason` says why; one that is not built is absent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from textual.binding import Binding, BindingType

from tui_scraper import suspending
from tui_scraper.engine.models import RunState

EVERYWHERE = frozenset({"start", "run", "failed", "checkpoints", "documents", "search", "log", "settings"})
_ENDED = frozenset({RunState.IDLE, RunState.COMPLETE, RunState.WATCHING, RunState.STOPPED, RunState.FAILED})


@dataclass(frozen=True, slots=True)
class Situation:
    """What decides whether an action makes sense now.

    `bad` is the number of failed, skipped and empty documents, `failed` that of the failed ones alone.
    `document` says whether the cursor of a list is on a document, `bad_document` that it is failed, skipped
    or empty, `failed_document` that it failed, `labelled` that it has a label and `by_hand` that a person
    gave it. `cause` says whether the cursor of the Failed screen is at least inside a group of one cause.
    `slid`: the list moved another row under the cursor; `asked`: its document waits to be retried;
    `filtered`: esc would clear the filter. `checkpoint` and `on_head` say whether the cursor of the
    Checkpoints screen is on one, and on the head; `can_undo` that the head was moved.
    `previewing` is set while the Settings screen shows a theme that is not kept, `choice` is what enter does
    to the row under the cursor there, and `refused` why it cannot be changed.
    `typing` is set while a text field has the focus: letters and digits go there. `can_look`: the Start
    screen names a workspace with documents in it, which can be opened without a run.
    """

    screen: str
    state: RunState = RunState.IDLE
    open: bool = False
    bad: int = 0
    failed: int = 0
    document: bool = False
    bad_document: bool = False
    failed_document: bool = False
    labelled: bool = False
    by_hand: bool = False
    cause: bool = False
    slid: bool = False
    asked: bool = False
    filtered: bool = False
    typing: bool = False
    checkpoint: bool = False
    on_head: bool = False
    can_undo: bool = False
    can_look: bool = False
    previewing: bool = False
    choice: str = ""
    refused: str = ""

    @property
    def resumes(self) -> bool:
        """Whether it would go on where it would otherwise pause."""
        return self.state in {RunState.PAUSED, RunState.STOPPED, RunState.COMPLETE}

    @property
    def working(self) -> bool:
        """Leaving now would interrupt something."""
        return self.state not in _ENDED


@dataclass(frozen=True, slots=True)
class Action:
    """One thing a person can do.

    `keys` are Textual's key names; `shown` is how the first of them is written for people.
    `label` is the word in the footer ('' keeps the action out of it), `weight` says which ones
    stay when the footer is too narrow (higher stays). `screens` are those on which it works.
    `reason` returns '' when it can be used now, else a sentence that says why not.
    """

    name: str
    keys: tuple[str, ...]
    shown: str
    title: str
    help: str
    group: str
    label: Callable[[Situation], str] = lambda _: ""
    weight: int = 0
    screens: frozenset[str] = EVERYWHERE
    reason: Callable[[Situation], str] = lambda _: ""
    priority: bool = False
    palette: bool = True

    def word(self, now: Situation) -> str:
        """The word in the footer; '' for what is typed into a field."""
        typed = now.typing and (len(self.shown) == 1 or self.shown == "space")
        return "" if typed else self.label(now)


def _word(text: str) -> Callable[[Situation], str]:
    return lambda _: text


def _only_go(now: Situation) -> bool:
    """Nothing is open yet: what is about a run stays out of the footer, and the help says why."""
    return now.screen == "start" and not now.open


def _pause_label(now: Situation) -> str:
    if now.screen in {"failed", "checkpoints", "documents", "search", "log", "settings"} or _only_go(now):
        return ""  # it works; the keys of the screen itself are of more use there
    if now.state is RunState.COMPLETE:
        return "run again"
    return "resume" if now.resumes else "pause"


def _pause_reason(now: Situation) -> str:
    if not now.open or now.state is RunState.IDLE:
        return "Nothing is running, so there is nothing to pause. Press o to open a folder."
    if now.state is RunState.WATCHING:
        return "The run is complete and waits for changes, so there is nothing to pause."
    if now.state is RunState.STOPPING:
        return "The run is stopping already."
    if now.state is RunState.FAILED:
        return "The run has failed. Press o to open the folder again."
    return ""


def _run_reason(now: Situation) -> str:
    if now.open or now.can_look:
        return ""
    if now.screen == "start":
        return "No folder is open yet. Enter begins with the folder in the path field."
    return "No folder is open yet. Press o to open one."


def _documents_label(now: Situation) -> str:
    if now.screen == "search":
        return "open it" if now.document else ""
    return "documents" if now.screen == "run" and not now.bad else ""


def _failed_label(now: Situation) -> str:
    if now.screen not in {"start", "run"} or _only_go(now):
        return ""
    return f"failed {now.failed:,}" if now.failed else "failed"


def _checkpoints_label(now: Situation) -> str:
    return "checkpoints" if now.screen in {"start", "run"} and not _only_go(now) else ""


def _back_reason(now: Situation) -> str:
    if now.typing or now.filtered:
        return ""
    if now.screen == "run":
        return "This is the first screen. Press o to open another folder, q to quit."
    if now.screen == "start":
        return _run_reason(now)
    return ""


def _back_label(now: Situation) -> str:
    if now.filtered:
        return "clear the filter"
    if now.typing:
        return "keep the filter" if now.screen in {"failed", "documents"} else "leave the field"
    if now.previewing:
        return "the theme before"
    return "back" if now.screen not in {"start", "run"} else ""


def _retry_reason(now: Situation) -> str:
    if not now.open:
        return "Nothing is open, so nothing can be retried. Press o to open a folder."
    if now.state is RunState.STOPPING:
        return "The run is stopping; retry once it has stopped."
    if now.asked:
        return "This document waits to be retried already."
    if now.slid:
        return "The list has changed under the cursor. Move to a document first (j and k)."
    if not now.document:
        or_all = ", or press R for all of a cause" if now.screen == "failed" else ""
        return f"Move to a document first (j and k){or_all}."
    return "" if now.bad_document else "This document has not failed, so there is nothing to retry."


def _one_reason(now: Situation) -> str:
    """For what is done with the document under the cursor."""
    if not now.open:
        return "Nothing is open yet. Press o to open a folder."
    if now.slid:
        return "The list has changed under the cursor. Move to a document first (j and k)."
    return "" if now.document else "Move to a document first (j and k)."


def _skip_reason(now: Situation) -> str:
    return _one_reason(now) or ("" if now.failed_document else "Only what has failed can be set aside.")


def _accept_reason(now: Situation) -> str:
    if _one_reason(now):
        return _one_reason(now)
    if now.by_hand:
        return "This label was given by hand already."
    return "" if now.labelled else "There is no label yet that could be accepted."


def _retry_label(now: Situation) -> str:
    return "retry" if now.screen == "failed" or now.bad_document else ""


def _retry_cause_reason(now: Situation) -> str:
    if not now.open or now.state is RunState.STOPPING:
        return _retry_reason(now)
    return "" if now.cause else "There is nothing to retry here."


def _filter_label(now: Situation) -> str:
    if now.filtered:
        return ""  # esc is of more use then
    return "filter" if now.screen in {"failed", "checkpoints", "documents", "log"} else "search"


def _filter_reason(now: Situation) -> str:
    if now.screen == "log":
        return ""
    if now.screen in {"run", "search", "settings"}:
        return "" if now.open else "No folder is open, so there is nothing to search. Press o to open one."
    if now.screen == "documents":
        return "" if now.open else "Nothing is open yet. Press o to open a folder."
    if now.screen == "checkpoints":
        return "" if now.checkpoint or now.filtered else "There is nothing to filter yet."
    return "" if now.bad else "There is nothing to filter yet."


def _roll_back_reason(now: Situation) -> str:
    if not now.open:
        return "No folder is open, so there is nothing to go back to. Press o to open one."
    if now.state is RunState.STOPPING:
        return "The run is stopping; go back once it has stopped."
    if now.screen != "checkpoints":
        return ""
    if now.slid:
        return "The list has changed under the cursor. Move to a checkpoint first (j and k)."
    if now.on_head and now.state in _ENDED:
        return "This is the head already: nothing has changed since."
    return _point_reason(now)


def _roll_back_label(now: Situation) -> str:
    return "" if now.screen == "failed" else "roll back"


def _point_reason(now: Situation) -> str:
    return "" if now.checkpoint else "Move to a checkpoint first (j and k)."


def _undo_reason(now: Situation) -> str:
    if now.state is RunState.STOPPING:
        return "The run is stopping; undo once it has stopped."
    if not now.open:
        return "No folder is open. Press o to open one."
    if now.screen == "run":
        return ""  # whether there is anything is said then
    return "" if now.can_undo else "There is nothing to undo: nobody has rolled back here."


def _undo_label(now: Situation) -> str:
    return "undo" if now.screen == "checkpoints" or (now.state is RunState.STOPPED and now.open) else ""


def _report_reason(now: Situation) -> str:
    return "" if now.open else "Nothing is open, so there is nothing to report. Press o to open a folder."


def _report_label(now: Situation) -> str:
    return "report" if now.screen == "run" and now.open and now.state is RunState.COMPLETE else ""


_FAILED = frozenset({"failed"})
_DOCUMENTS = frozenset({"documents"})
_POINTS = frozenset({"checkpoints"})

ACTIONS: tuple[Action, ...] = (
    Action("go", ("enter",), "enter", "Go", "Begin with the folder in the field, or resume it.",
           "The run", _word("go"), 99, frozenset({"start"})),
    Action("pause", ("p",), "p", "Pause or resume",
           "Take up no further documents, or go on: what is in hand is finished and saved. "
           "After the end: once more, for what has changed.",
           "The run", _pause_label, 80, reason=_pause_reason),
    Action("retry", ("r",), "r", "Retry this document", "Put the document under the cursor back to pending.",
           "Failed", _retry_label, 75, _FAILED | _DOCUMENTS, _retry_reason),
    Action("retry_cause", ("R",), "R", "Retry all of this cause",
           "Put every document of this phase and cause back to pending, after a question.",
           "Failed", _word("retry cause"), 74, _FAILED, _retry_cause_reason),
    Action("accept", ("a",), "a", "Accept the label",
           "Keep the label it has, whatever a model or a setting says later; goes on to the next document.",
           "Documents", _word("accept"), 74, _DOCUMENTS, _accept_reason),
    Action("set_label", ("t",), "t", "Set the label", "Give the document under the cursor a label by hand.",
           "Documents", _word("label"), 73, _DOCUMENTS | _FAILED, _one_reason),
    Action("skip", ("s",), "s", "Set aside",
           "Have a failed document count as skipped; retry takes that back.",
           "Failed", _word("skip"), 72, _FAILED, _skip_reason),
    Action("order", ("v",), "v", "Order", "By path, the least sure label first, or the largest first.",
           "Documents", _word("order"), 74, _DOCUMENTS),
    Action("copy_path", ("y",), "y", "Copy the path", "Into the clipboard, where the terminal allows it.",
           "Documents", _word(""), 0, _DOCUMENTS | _FAILED, _one_reason),
    Action("filter", ("slash",), "/", "Filter or search",
           "Show only what contains a text; where there is no list, search all documents.",
           "Lists", _filter_label, 74, EVERYWHERE - {"start"}, _filter_reason),
    Action("roll_back", ("b",), "b", "Roll back",
           "To a phase, or to a checkpoint, after saying what that does and costs.",
           "The run", _roll_back_label, 72, frozenset({"run", "failed", "checkpoints"}), _roll_back_reason),
    Action("undo", ("u",), "u", "Undo the rollback", "Put the head back where it was before.",
           "The run", _undo_label, 71, _POINTS | {"run"}, _undo_reason),
    Action("report", ("w",), "w", "Write a report",
           "What came of the work, as one page: report.html in the workspace.",
           "The run", _report_label, 46, EVERYWHERE - {"start"}, _report_reason),
    Action("compare", ("x",), "x", "Compare",
           "The checkpoint under the cursor with the marked one, or with how things are now.",
           "Checkpoints", _word("compare"), 71, _POINTS, _point_reason),
    Action("mark", ("space",), "space", "Mark", "Mark a checkpoint, to compare another with it.",
           "Checkpoints", _word("mark"), 42, _POINTS, _point_reason),
    Action("name_point", ("n",), "n", "Name", "Give a checkpoint a name to go back to it by.",
           "Checkpoints", _word("name"), 70, _POINTS, _point_reason),
    Action("show_run", ("1",), "1", "Run", "Phases, counts and log of the run.",
           "Screens", lambda now: "" if now.screen == "run" or _only_go(now) else "run", 45,
           reason=_run_reason),
    Action("show_failed", ("2", "f"), "f", "Failed",
           "Failed, skipped and empty documents, by cause.", "Screens",
           _failed_label, 70, reason=_run_reason),
    Action("show_checkpoints", ("3", "c"), "c", "Checkpoints", "The history, and going back in it.",
           "Screens", _checkpoints_label, 68, reason=_run_reason),
    Action("show_documents", ("4", "d"), "d", "Documents", "Every document: its text, label, links, copies.",
           "Screens", _documents_label, 70, reason=_run_reason),
    Action("show_search", ("5",), "5", "Search", "Find passages by their words and their meaning.", "Screens",
           reason=_run_reason),
    Action("levels", ("v",), "v", "Levels", "Show everything, warnings and errors, or errors alone.", "Log",
           _word("levels"), 71, frozenset({"log"})),
    Action("show_log", ("6", "l"), "l", "Log", "The whole log, also of earlier runs.", "Screens",
           lambda now: "" if now.screen == "log" or _only_go(now) else "log", 44, reason=_run_reason),
    Action("show_settings", ("7",), "7", "Settings",
           "Themes, shown as you move, and limits of the run that apply at once.", "Screens",
           lambda now: "" if now.screen == "settings" else "settings", 43),
    Action("choose", (), "enter", "Keep or change",
           "Keep the theme under the cursor, or type another value for the limit there.", "Settings",
           lambda now: now.choice, 76, frozenset({"settings"}), lambda now: now.refused),
    Action("show_start", ("o",), "o", "Open another folder", "Choose a folder to process.",
           "Screens", lambda now: "other folder" if now.screen == "run" else "", 50),
    Action("zoom", ("z",), "z", "Zoom",
           "Give the log, or a document's details, the whole screen; again: back.",
           "Screens", _word("zoom"), 30, frozenset({"run", "failed", "checkpoints", "documents", "search"})),
    Action("back", ("escape",), "esc", "Back", "Leave a text field, a question, or this screen.",
           "Screens", _back_label, 73, reason=_back_reason,
           palette=False),
    Action("help", ("question_mark",), "?", "Help", "All keys, and why some cannot be used now.",
           "Screens", _word("help"), 90),
    Action("palette", ("ctrl+p",), "ctrl+p", "Palette", "Find an action or a theme by its name.",
           "Screens", lambda now: "palette" if now.typing else "", 40, priority=True, palette=False),
    Action("suspend", ("ctrl+z",), "ctrl+z", "Suspend",
           "Give the terminal back to the shell; everything stands still until fg.",
           "The run", reason=lambda _: suspending.reason(), priority=True),
    Action("quit", ("q",), "q", "Quit", "Stop safely and leave; the run resumes from here later.",
           "The run", _word("quit"), 100),
    Action("leave", ("ctrl+q", "ctrl+c"), "ctrl+q", "Quit from anywhere",
           "The same as q, also in a text field.", "The run",
           lambda now: "quit" if now.typing else "", 100, priority=True, palette=False),
)  # fmt: skip

MOVES: tuple[tuple[str, str, str, str], ...] = (
    ("down,j", "move(1)", "j ↓", "One line down"),
    ("up,k", "move(-1)", "k ↑", "One line up"),
    ("pagedown", "page(1)", "pgdn", "One page down"),
    ("pageup", "page(-1)", "pgup", "One page up"),
    ("home,g", "edge(-1)", "g", "To the beginning"),
    ("end,G", "edge(1)", "G", "To the end; at the end of the log it follows new lines"),
)
"""Keys of everything that scrolls: (keys, action of the widget, how it is written, help)."""

OTHER_KEYS: tuple[tuple[str, str], ...] = (
    ("tab", "The next panel; in the path field, complete the folder"),
    ("enter", "Fold or unfold a cause (Failed), or go to the details of what is under the cursor"),
    ("enter", "Keep the theme, or change the limit under the cursor (Settings)"),
    ("y", "Yes, in a question; enter and esc on Cancel leave it"),
)
"""Keys that belong to one widget, for the help."""

BY_NAME = {action.name: action for action in ACTIONS}


def bindings() -> list[BindingType]:
    """The application's bindings: one for each key, also where it does other things on other screens."""
    of_key: dict[str, list[Action]] = {}
    for action in ACTIONS:
        for key in action.keys:
            of_key.setdefault(key, []).append(action)
    return [
        Binding(
            key,
            f"act('{' '.join(action.name for action in found)}')",
            found[0].title,
            show=False,
            priority=any(action.priority for action in found),
        )
        for key, found in of_key.items()
    ]


def move_bindings() -> list[BindingType]:
    """Bindings of a widget that scrolls."""
    return [Binding(keys, action, words, show=False) for keys, action, _, words in MOVES]


def on_screen(now: Situation) -> list[Action]:
    """The actions of a screen, in the order of the registry."""
    return [action for action in ACTIONS if now.screen in action.screens]
