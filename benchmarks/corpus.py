"""Makes the benchmark's corpora: the same files on every machine with the same Python, from its own prose.

The text is real English: the topics of `pydoc` and the docstrings of the standard library, cut into
paragraphs and dealt out with a seed. Run as `python -m benchmarks.corpus DIR [--files N]`.
"""

from __future__ import annotations

import argparse
import ast
import random
import sysconfig
from pathlib import Path
from pydoc_data.topics import topics

MEAN_BYTES = 3_600


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


def main() -> None:
    """Write the corpus and say how large it is."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--files", type=int, default=10_000)
    options = parser.parse_args()
    total = write_small_text(options.directory, options.files)
    print(f"{options.files:,} files, {total / 1e6:.1f} MB in {options.directory}")


if __name__ == "__main__":
    main()
