"""`README.md` of an export: says what lies there, to people and to Hugging Face `datasets`.

Without it `load_dataset(DIR)` would take `manifest.json` for data, and guess the types of JSON from its first
megabytes, in which a column may be null throughout.
"""

from __future__ import annotations

from collections.abc import Sequence

CARD_FILE = "README.md"
CARD_FORMAT = "card"

_LOADED = {"parquet": "documents.parquet", "jsonl": "documents.jsonl", "csv": "documents.csv"}
"""What `load_dataset` reads, the best first. Parquet and CSV say, or need, no types."""

_FEATURES = """\
  features:
  - {name: path, dtype: string}
  - {name: path_bytes, dtype: string}
  - {name: parent, dtype: string}
  - {name: id, dtype: string}
  - {name: content_hash, dtype: string}
  - {name: media_type, dtype: string}
  - {name: size, dtype: int64}
  - {name: modified, dtype: 'timestamp[us, tz=UTC]'}
  - {name: status, dtype: string}
  - name: error
    struct:
    - {name: phase, dtype: string}
    - {name: cause, dtype: string}
    - {name: message, dtype: string}
  - {name: title, dtype: string}
  - {name: language, dtype: string}
  - {name: text, dtype: string}
  - name: chunks
    list:
    - {name: ordinal, dtype: int32}
    - {name: start, dtype: int64}
    - {name: end, dtype: int64}
    - {name: tokens, dtype: int32}
    - {name: heading, dtype: string}
    - {name: text, dtype: string}
  - {name: label, dtype: string}
  - {name: labels, list: string}
  - {name: confidence, dtype: float64}
  - {name: method, dtype: string}
  - {name: model, dtype: string}
  - {name: tokens_in, dtype: int64}
  - {name: tokens_out, dtype: int64}
  - {name: cost_usd, dtype: float64}
  - {name: duplicate_of, dtype: string}
  - {name: near_duplicate_of, dtype: string}
  - name: links
    list:
    - {name: target, dtype: string}
    - {name: kind, dtype: string}
  - {name: truncated, dtype: bool}
  - {name: members, dtype: int64}
"""

_ABOUT = {
    "jsonl": "`documents.jsonl`: one JSON object for each document, with its text, chunks, label and links.",
    "parquet": "`documents.parquet`: a row for each document, with its text, chunks, label and links.",
    "csv": "`documents.csv`: everything but texts, chunks and links, for a spreadsheet. Where a cell, or\n"
    "  what follows a semicolon, begins with = + - @ or ', an apostrophe stands before it, so that no cell\n"
    "  is a formula.",
    "markdown": "`markdown/`: a file for each document, in a folder for each label;\n"
    "  `sha256sum -c markdown.sha256` checks them.",
}


def card(formats: Sequence[str], documents: int) -> bytes:
    """The file for an export with these formats."""
    best = next((name for name in _LOADED if name in formats), None)
    head = use = ""
    if best is not None:
        head = (
            "---\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n"
            f"    path: {_LOADED[best]}\n{_FEATURES if best == 'jsonl' else ''}---\n\n"
        )
        use = (
            '\n    from datasets import load_dataset\n    documents = load_dataset("DIR", split="train")\n'
            "\nWithout copies and near-duplicates, each with one document that stands for it:\n\n"
            "    def stands_for_itself(row):\n"
            '        return not (row["duplicate_of"] or row["near_duplicate_of"])\n'
            "    documents = documents.filter(stands_for_itself)\n"
        )
    listed = "".join(f"- {_ABOUT[name]}\n" for name in formats)
    return (
        f"{head}# {documents:,} documents\n\n"
        "Exported by tui-scraper, which writes this folder anew, this file included, at the next export.\n\n"
        f"{listed}- `manifest.json`: counts, checksums, and which settings and version made this.\n{use}"
    ).encode()
