"""LlamaIndex doing only load + split, for `benchmarks.pipeline --peer PYTHON`.

Runs in an environment of its own (`pip install llama-index-core`), so it imports nothing of ours.
Usage: python peer_llamaindex.py FOLDER WORKERS. Prints one JSON object.
"""

from __future__ import annotations

import json
import sys
import time

from llama_index.core import SimpleDirectoryReader
from llama_index.core.ingestion import IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter


def main() -> None:
    """Load the folder, split it, and say how long that took."""
    folder, workers = sys.argv[1], int(sys.argv[2])
    started = time.perf_counter()
    cpu = time.process_time()
    documents = SimpleDirectoryReader(folder, recursive=True).load_data(num_workers=workers)
    loaded = time.perf_counter()
    pipeline = IngestionPipeline(transformations=[SentenceSplitter(chunk_size=512, chunk_overlap=64)])
    nodes = pipeline.run(documents=documents, num_workers=workers)
    ended = time.perf_counter()
    print(
        json.dumps(
            {
                "files": len(documents),
                "chunks": len(nodes),
                "load_s": loaded - started,
                "split_s": ended - loaded,
                "total_s": ended - started,
                "cpu_s": time.process_time() - cpu,
            }
        )
    )


if __name__ == "__main__":
    main()
