"""Near-duplicates as one finds them with datasketch: MinHash of runs of five words, 32 bands of 4, compared.

    python benchmarks/peer_datasketch.py TEXTS.jsonl ALIKE

Run by `benchmarks.duplicates` with an interpreter that has datasketch; knows nothing of tui-scraper. Prints
JSON: the seconds, and for each text the most similar before it, if it is alike.
"""

from __future__ import annotations

import json
import re
import sys
import time

from datasketch import MinHash, MinHashLSH


def main() -> None:
    """Read texts, find, print."""
    with open(sys.argv[1], encoding="utf-8") as file:
        texts = [json.loads(line) for line in file]
    alike = float(sys.argv[2])
    started = time.perf_counter()
    lsh = MinHashLSH(num_perm=128, params=(32, 4))
    kept: dict[int, MinHash] = {}
    leaders = []
    for number, text in enumerate(texts):
        words = re.findall(r"\w+", text.casefold())
        minhash = MinHash(num_perm=128, seed=1)
        minhash.update_batch({" ".join(words[at : at + 5]).encode() for at in range(len(words) - 4)})
        near = [(kept[one].jaccard(minhash), -one) for one in lsh.query(minhash)]
        best = max(near, default=(0.0, 0))
        if best[0] >= alike:
            leaders.append(-best[1])
            continue
        leaders.append(number)
        kept[number] = minhash
        lsh.insert(number, minhash)
    print(json.dumps({"seconds": time.perf_counter() - started, "leaders": leaders}))


if __name__ == "__main__":
    main()
