"""LanceDB, run by `benchmarks.retrieval` in a Python that has it: the same texts, vectors and queries.

    python peer_lancedb.py FOLDER K

FOLDER has `texts.json` (a list), `vectors.npy` (a row for each, float32), `queries.json` and `queries.npy`.
Prints a JSON line for each way (`text`, `vector`, `hybrid`) with the numbers of the texts found, in order,
for each query.
The hybrid search is LanceDB's own, with its default reranker (reciprocal rank fusion).
"""

import json
import sys
import tempfile
import time
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa


def main() -> None:
    folder, k = Path(sys.argv[1]), int(sys.argv[2])
    texts = json.loads((folder / "texts.json").read_text())
    queries = json.loads((folder / "queries.json").read_text())
    vectors, aims = np.load(folder / "vectors.npy"), np.load(folder / "queries.npy")
    with tempfile.TemporaryDirectory() as scratch:
        size = vectors.shape[1]
        flat = pa.array(vectors.reshape(-1).astype(np.float32), pa.float32())
        data = pa.table(
            {
                "id": pa.array(range(len(texts)), pa.int64()),
                "text": texts,
                "vector": pa.FixedSizeListArray.from_arrays(flat, size),
            }
        )
        table = lancedb.connect(scratch).create_table("texts", data)
        table.create_fts_index(
            "text", use_tantivy=False, stem=True, language="English", remove_stop_words=True
        )
        for way in ("text", "vector", "hybrid"):
            began, found = time.perf_counter(), []
            for query, aim in zip(queries, aims, strict=True):
                if way == "text":
                    search = table.search(query, query_type="fts")
                elif way == "vector":
                    search = table.search(aim).distance_type("cosine")
                else:
                    search = table.search(query_type="hybrid").vector(aim).text(query).distance_type("cosine")
                found.append(search.limit(k).select(["id"]).to_arrow()["id"].to_pylist())
            print(
                json.dumps({"way": way, "found": found, "seconds": time.perf_counter() - began}), flush=True
            )


if __name__ == "__main__":
    main()
