"""Load an export of tui-scraper into LangChain: `pip install langchain-core`.

    python langchain_loader.py ~/reports-export

One LangChain document for each chunk, or with `chunks=False` for each document. The metadata are plain
values without nulls, as vector stores want them.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from langchain_core.document_loaders import BaseLoader
from langchain_core.documents import Document

ABOUT = ("path", "id", "media_type", "modified", "title", "language", "label", "confidence", "method")


class ExportLoader(BaseLoader):
    """Reads `documents.jsonl` line by line, so that memory does not grow with the export."""

    def __init__(self, directory: str | Path, *, chunks: bool = True) -> None:
        self.file = Path(directory) / "documents.jsonl"
        self.chunks = chunks

    def lazy_load(self) -> Iterator[Document]:
        """Every document that is done, with its text."""
        with self.file.open(encoding="utf-8") as lines:
            for line in lines:
                row = json.loads(line)
                if row["status"] == "done":
                    yield from self._parts(row) if self.chunks else [self._whole(row)]

    def _whole(self, row: dict[str, Any]) -> Document:
        return Document(page_content=row["text"], id=row["id"], metadata=about(row))

    def _parts(self, row: dict[str, Any]) -> Iterator[Document]:
        for chunk in row["chunks"]:
            where = {name: chunk[name] for name in ("ordinal", "start", "end", "tokens", "heading")}
            yield Document(
                page_content=chunk["text"], id=f"{row['id']}-{chunk['ordinal']}", metadata=about(row) | where
            )


def about(row: dict[str, Any]) -> dict[str, Any]:
    """What is known of a document."""
    return {name: row[name] for name in ABOUT if row[name] is not None}


if __name__ == "__main__":
    for document in ExportLoader(sys.argv[1]).lazy_load():
        print(document.id, document.metadata.get("label"), document.metadata["path"])
