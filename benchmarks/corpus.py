"""Makes the benchmarks' corpora. Run as `python -m benchmarks.corpus DIR [--files N | --documents]`.

Small text is the same on every machine with the same Python, from its own prose: the topics of `pydoc` and
the docstrings of the standard library, real English, cut into paragraphs and dealt out with a seed.

Documents are those that a Debian system has installed (packages with much: python3-doc, debian-handbook,
developers-reference, debian-policy, doc-debian, maint-guide), unpacked where they are compressed.
"""

from __future__ import annotations

import argparse
import ast
import gzip
import os
import random
import sysconfig
from itertools import zip_longest
from pathlib import Path
from pydoc_data.topics import topics

MEAN_BYTES = 3_600
INSTALLED = Path("/usr/share/doc")
DOCUMENT_ENDINGS = (
    *(
        "pdf",
        "docx",
        "doc",
        "xlsx",
        "xls",
        "pptx",
        "ppt",
        "odt",
        "ods",
        "odp",
        "rtf",
        "epub",
        "html",
        "xhtml",
    ),
    *("xml", "md", "rst", "txt", "tex", "csv", "json", "eml", "mbox", "zip", "tar"),
)


def paragraphs() -> list[str]:
    """Every paragraph of prose of 80 characters or more that this Python brings along."""
    texts = list(topics.values())
    for path in sorted(Path(sysconfig.get_path("stdlib")).glob("*.py")):
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                texts.append(ast.get_docstring(node) or "")
    found = {part.strip() for text in texts for part in text.split("\n\n")}
    return sorted(part for part in found if len(part) >= 80)


def write_small_text(directory: Path, files: int, seed: int = 7) -> int:
    """Write `files` text files of about 3.6 KB in folders of 500. Returns the bytes written."""
    source = paragraphs()
    rng = random.Random(seed)
    total = 0
    for number in range(files):
        folder = directory / f"{number // 500:03d}"
        folder.mkdir(parents=True, exist_ok=True)
        wanted = int(rng.lognormvariate(0, 0.5) * MEAN_BYTES * 0.88)
        parts, size = [f"Document {number}: {rng.choice(source)[:60]}"], 0
        while size < wanted:
            part = rng.choice(source)
            parts.append(part)
            size += len(part)
        data = "\n\n".join(parts).encode()
        (folder / f"document-{number:05d}.txt").write_bytes(data)
        total += len(data)
    return total


def copy_documents(directory: Path, per_format: int, source: Path = INSTALLED, seed: int = 7) -> int:
    """Copy installed documents, so many of each ending, into a folder per ending. Returns the bytes written.

    They are taken from as many packages as there are, one after the other.
    """
    rng = random.Random(seed)
    found: dict[str, dict[str, list[Path]]] = {ending: {} for ending in DOCUMENT_ENDINGS}
    for folder, _folders, names in sorted(os.walk(source)):
        for name in sorted(names):
            path = Path(folder, name)
            ending = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
            if ending[1:] in found and path.is_file() and not path.is_symlink():
                package = path.relative_to(source).parts[0]
                found[ending[1:]].setdefault(package, []).append(path)
    total = 0
    for ending, packages in found.items():
        for paths in packages.values():
            rng.shuffle(paths)
        taken = [path for turn in zip_longest(*packages.values()) for path in turn if path is not None]
        for number, path in enumerate(taken[:per_format]):
            data = path.read_bytes()
            if path.suffix == ".gz":
                data = gzip.decompress(data)
            (directory / ending).mkdir(parents=True, exist_ok=True)
            (directory / ending / f"{number:04d}-{path.name.removesuffix('.gz')}").write_bytes(data)
            total += len(data)
    return total


def main() -> None:
    """Write the corpus and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--documents", action="store_true", help="installed documents instead of small text")
    parser.add_argument("--per-format", type=int, default=60, help="documents of each ending (default 60)")
    options = parser.parse_args()
    if options.documents:
        total = copy_documents(options.directory, options.per_format)
        print(f"{total / 1e6:.1f} MB of documents in {options.directory}")
        return
    total = write_small_text(options.directory, options.files)
    print(f"{options.files:,} files, {total / 1e6:.1f} MB in {options.directory}")


if __name__ == "__main__":
    main()
