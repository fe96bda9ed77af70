"""Labels made on this machine: a static embedding, a closed-form linear model, keyword rules.

The pieces, in the order a document meets them: `digest` cuts what is read of a document,
`embedding` and `rules` turn that into numbers, `linear` has learnt from the taxonomy's own words
and examples what the numbers mean, and `backend` decides. `taxonomy` holds the labels.
"""

from __future__ import annotations

import os


def use_one_thread() -> None:
    """Switch off the thread pools of the linear algebra and the tokenizer, unless the person set them.

    Each worker has one core, and threads do not survive a fork. It works only before numpy is
    imported.
    """
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def preload() -> None:
    """Import and load what labelling needs, in the process that workers are forked from.

    The embedding matrix (16 MB) is then shared by all workers, page by page, and
    nothing is left to be read from the disk once a worker is sandboxed.
    """
    use_one_thread()
    from tui_scraper.engine.labels import backend, embedding, taxonomy  # noqa: F401

    embedding.load()
    taxonomy.general()
