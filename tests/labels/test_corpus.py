"""Accuracy on labelled documents: more than naive Bayes reaches with the same examples."""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    named = os.environ.get("TUI_SCRAPER_CORPORA")
    folder = Path(named) if named else ROOT.parent / "shared" / "corpora"
    if not (folder / "labelled" / "labels.tsv").is_file():
        pytest.skip("the labelled corpus is not here; TUI_SCRAPER_CORPORA names its folder")
    spec = importlib.util.spec_from_file_location("benchmark_of_labels", ROOT / "benchmarks" / "labels.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_ten_examples_a_label_beat_naive_bayes_by_far(benchmark: ModuleType) -> None:
    documents = benchmark.corpus()
    labels = benchmark.taxonomy(documents, described=False, keywords=False, examples=10)
    accuracy, calibration_error = benchmark.measure(labels, documents, "local")
    assert accuracy > 0.75  # naive Bayes: .674
    assert calibration_error < 0.08


def test_descriptions_and_keywords_need_no_example(benchmark: ModuleType) -> None:
    documents = benchmark.corpus()
    labels = benchmark.taxonomy(documents, described=True, keywords=True, examples=0)
    accuracy, calibration_error = benchmark.measure(labels, documents, "local")
    assert accuracy > 0.75
    assert calibration_error < 0.1
