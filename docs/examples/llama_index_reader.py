"""Read an export of tui-scraper into LlamaIndex: `pip install llama-index-core`.

    python llama_index_reader.py ~/reports-export

`ExportReader().lazy_load_data(DIR)` gives documents, to be split anew; `read_nodes(DIR)` gives the chunks
that tui-scraper made, for `VectorStoreIndex(nodes=…)`, each with where it is in its document.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llama_index.core.readers.base import BaseReader
from llama_index.core.schema import Document, NodeRelationship, RelatedNodeInfo, TextNode

ABOUT = ("path", "media_type", "modified", "title", "language", "label", "confidence", "method")


class ExportReader(BaseReader):
    """Reads `documents.jsonl` line by line, so that memory does not grow with the export."""

    def lazy_load_data(self, directory: str | Path) -> Iterator[Document]:
        """Every document that is done, with its text."""
        for row in rows(directory):
            yield Document(id_=row["id"], text=row["text"], metadata=about(row))


def read_nodes(directory: str | Path) -> Iterator[TextNode]:
    """Every chunk of every document that is done."""
    for row in rows(directory):
        source = RelatedNodeInfo(node_id=row["id"], metadata=about(row))
        for chunk in row["chunks"]:
            yield TextNode(
                id_=f"{row['id']}-{chunk['ordinal']}",
                text=chunk["text"],
                start_char_idx=chunk["start"],
                end_char_idx=chunk["end"],
                metadata=about(row) | {"heading": chunk["heading"]},
                relationships={NodeRelationship.SOURCE: source},
            )


def rows(directory: str | Path) -> Iterator[dict[str, Any]]:
    """The lines of documents that are done."""
    with (Path(directory) / "documents.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            if row["status"] == "done":
                yield row


def about(row: dict[str, Any]) -> dict[str, Any]:
    """What is known of a document."""
    return {name: row[name] for name in ABOUT if row[name] is not None}


if __name__ == "__main__":
    for node in read_nodes(sys.argv[1]):
        print(node.node_id, node.metadata.get("label"), node.metadata["path"])
