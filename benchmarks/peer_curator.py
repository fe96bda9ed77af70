"""Bespoke Curator labelling documents, for `benchmarks.classify --peer curator=PYTHON`.

Runs in an environment of its own (`pip install bespokelabs-curator`), so it imports nothing of ours.
Usage: python peer_curator.py DOCUMENTS WORKING LABELS SETTINGS. DOCUMENTS is a JSON list of objects with
`path` and `text`, LABELS the JSON file that it writes, SETTINGS a JSON object: model, prompt, backend_params,
and `labels` where the answer is to be structured.
"""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import Any

from bespokelabs import curator
from pydantic import create_model

DOCUMENTS, WORKING, LABELS = sys.argv[1:4]
SETTINGS = json.loads(sys.argv[4])


class Labeller(curator.LLM):
    """One request a document."""

    def prompt(self, row: dict[str, Any]) -> str:
        """What the model is asked about a row."""
        return str(SETTINGS["prompt"]).replace("{{ input.text }}", row["text"])

    def parse(self, row: dict[str, Any], response: Any) -> dict[str, Any]:
        """The row's path with its label."""
        label = response if isinstance(response, str) else response.label.value
        return {"path": row["path"], "label": label.strip()}


def main() -> None:
    """Label, and write down what came."""
    form = None
    if SETTINGS.get("labels"):
        names = Enum("Label", {name: name for name in SETTINGS["labels"]}, type=str)  # type: ignore[misc]
        form = create_model("Labelled", label=(names, ...))
    labeller = Labeller(
        model_name=SETTINGS["model"],
        backend="openai",
        response_format=form,
        backend_params=SETTINGS["backend_params"],
    )
    documents = json.loads(Path(DOCUMENTS).read_bytes())
    found = labeller(documents, working_dir=WORKING).dataset
    Path(LABELS).write_text(json.dumps(found.to_list()), encoding="utf-8")


if __name__ == "__main__":
    main()
