"""Accuracy, calibration, speed and memory of offline labels.

    python benchmarks/labels.py accuracy
    python benchmarks/labels.py calibrate
    python benchmarks/labels.py speed

Accuracy is that on the test split of the labelled corpus (`TUI_SCRAPER_CORPORA` names its folder,
`../shared/corpora` beside the repository is the default). ECE is the expected calibration error
over ten bins of equal width. Examples are drawn from the train split with a fixed seed. The
temperatures that `linear.py` and `backend.py` hold are fitted here, on the train split.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tui_scraper.engine.labels import preload  # noqa: E402

DESCRIPTIONS = {
    "admin": (
        "System administration utilities: installing packages, managing users, disks, processes, logs, "
        "services and configuration of a machine",
        "administrator, daemon, init, disk, partition, package manager, boot, cron, cluster, "
        "configuration management, filesystem, system",
    ),
    "education": (
        "Educational software for learning and teaching in schools: lessons, exercises, vocabulary "
        "trainers, typing tutors for children and students",
        "learn, teacher, school, students, children, educational, exercise, quiz",
    ),
    "electronics": (
        "Electronics design and embedded hardware: circuit simulation, PCB layout, microcontroller "
        "programming, FPGA and VHDL tools",
        "circuit, microcontroller, FPGA, VHDL, Verilog, PCB, EDA, programmer, oscilloscope, schematic",
    ),
    "fonts": (
        "Fonts and typefaces: TrueType, OpenType and bitmap font families, glyphs, scripts and typography",
        "font, fonts, typeface, glyphs, TrueType, OpenType, serif, sans-serif, bold",
    ),
    "games": (
        "Games: arcade, puzzle, strategy, board, card and role-playing games, with levels, players, "
        "enemies and data files of games",
        "game, player, players, puzzle, levels, arcade, enemy, multiplayer, chess, solitaire",
    ),
    "graphics": (
        "Graphics and images: viewing, editing, drawing, converting and rendering pictures, photos, "
        "vector art, 3D models and scanners",
        "image, images, photo, draw, rendering, 3D, JPEG, PNG, SVG, scanner, raytracer",
    ),
    "mail": (
        "Electronic mail: mail servers, mail clients, spam filters, mailing lists, IMAP, POP3 and SMTP",
        "mail, e-mail, email, IMAP, SMTP, POP3, spam, mailbox, MTA, mailing list",
    ),
    "math": (
        "Mathematics: computer algebra, numerical computation, linear algebra, statistics, plotting, "
        "theorem proving and solvers",
        "mathematics, algebra, matrix, theorem, polynomial, solver, numerical, equations, plotting, "
        "calculator",
    ),
    "net": (
        "Networking: clients, servers and daemons for network protocols, DNS, SSH, VPN, chat, file "
        "transfer, traffic monitoring and firewalls",
        "network, IP, TCP, DNS, SSH, VPN, protocol, IRC, FTP, router, packets, Jabber",
    ),
    "science": (
        "Scientific software: biology, chemistry, physics, astronomy, genomics, geography, molecular "
        "modelling and data analysis for researchers",
        "DNA, protein, genome, sequence, molecular, astronomy, physics, chemistry, simulation, biology, "
        "sequencing",
    ),
    "sound": (
        "Sound and audio: music players, synthesizers, audio editors, codecs, MIDI, effects plugins, "
        "recording and mixers",
        "audio, sound, music, MIDI, MP3, synthesizer, JACK, ALSA, LADSPA, CD, playlist",
    ),
    "web": (
        "World Wide Web: web servers, browsers, HTTP, HTML, CGI, content management systems, blogs and "
        "web applications",
        "web, HTTP, HTML, browser, Apache, PHP, CMS, website, JavaScript, wiki, URL",
    ),
}


@dataclass(frozen=True)
class Document:
    text: str
    label: str
    train: bool


def corpus() -> list[Document]:
    named = os.environ.get("TUI_SCRAPER_CORPORA")
    folder = (Path(named) if named else ROOT.parent / "shared" / "corpora") / "labelled"
    if not (folder / "labels.tsv").is_file():
        sys.exit(f"{folder}: there is no labelled corpus here; TUI_SCRAPER_CORPORA names its folder.")
    documents = []
    for line in (folder / "labels.tsv").read_text("utf-8").splitlines()[1:]:
        path, _, label, split = line.split("\t")
        documents.append(Document((folder / path).read_text("utf-8", "replace"), label, split == "train"))
    return documents


def taxonomy(
    documents: list[Document], *, described: bool, keywords: bool, examples: int | None, seed: int = 0
) -> list[dict[str, object]]:
    """`examples` None: the whole train split."""
    labels: list[dict[str, object]] = []
    for name, (description, words) in DESCRIPTIONS.items():
        texts = [document.text for document in documents if document.train and document.label == name]
        random.Random(seed).shuffle(texts)
        labels.append(
            {
                "name": name,
                "description": description if described else "",
                "keywords": words.split(", ") if keywords else [],
                "examples": texts if examples is None else texts[:examples],
            }
        )
    return labels


def measure(labels: list[dict[str, object]], documents: list[Document], backend: str) -> tuple[float, float]:
    """(accuracy, ECE) on the test split."""
    from tui_scraper.engine.phases.classify import Classifier
    from tui_scraper.engine.settings import ClassifySettings
    from tui_scraper.engine.wire import CleanText

    classifier = Classifier(ClassifySettings.model_validate({"backend": backend, "labels": labels}))
    bins = [[0, 0.0, 0.0] for _ in range(10)]
    right = total = 0
    for document in documents:
        if document.train:
            continue
        result = classifier.classify(CleanText(document.text), [], "text/plain")
        hit = result.labels[0] == document.label
        slot = bins[min(9, int(result.confidence * 10))]
        slot[0] += 1
        slot[1] += result.confidence
        slot[2] += hit
        right, total = right + hit, total + 1
    return right / total, sum(abs(sure - hits) for _, sure, hits in bins) / total


def accuracy() -> None:
    documents = corpus()
    rows: list[tuple[str, str, dict[str, bool | int | None]]] = [
        ("(a) bare label names", "local", {"described": False, "keywords": False, "examples": 0}),
        ("(b) descriptions", "local", {"described": True, "keywords": False, "examples": 0}),
        ("    descriptions + keywords", "local", {"described": True, "keywords": True, "examples": 0}),
        ("    keywords, rules only", "rules", {"described": False, "keywords": True, "examples": 0}),
        ("    names + 3 examples", "local", {"described": False, "keywords": False, "examples": 3}),
        ("(c) names + 10 examples", "local", {"described": False, "keywords": False, "examples": 10}),
        ("(d) all + 10 examples", "local", {"described": True, "keywords": True, "examples": 10}),
        ("(e) names + whole train split", "local", {"described": False, "keywords": False, "examples": None}),
        ("    all + whole train split", "local", {"described": True, "keywords": True, "examples": None}),
    ]
    print(f"{'taxonomy':32} accuracy    ECE  (mean over draws of examples)")
    for name, backend, parts in rows:
        seeds = range(5) if parts["examples"] in {3, 10} else range(1)
        found = [measure(taxonomy(documents, **parts, seed=seed), documents, backend) for seed in seeds]  # type: ignore[arg-type]
        accuracies, errors = zip(*found, strict=True)
        print(f"{name:32} {sum(accuracies) / len(found):8.3f} {sum(errors) / len(found):6.3f}")


def calibrate() -> None:
    """The constants `_PRIOR_TEMPERATURE` and `_RULES_TEMPERATURE`, from the train split."""
    import numpy as np

    from tui_scraper.engine.labels import backend, embedding
    from tui_scraper.engine.labels.digest import CHARACTERS_PER_TOKEN
    from tui_scraper.engine.labels.linear import fit_temperature
    from tui_scraper.engine.labels.rules import KeywordRules
    from tui_scraper.engine.labels.taxonomy import from_settings
    from tui_scraper.engine.settings import ClassifySettings

    documents = [document for document in corpus() if document.train]
    for keywords in (False, True):
        labels = taxonomy(documents, described=True, keywords=keywords, examples=0)
        its = from_settings(ClassifySettings.model_validate({"labels": labels}).labels)
        model = backend._learn(its, 160)
        names = [label.name for label in its.labels]
        cut = [document.text[: int(160 * CHARACTERS_PER_TOKEN)] for document in documents]
        scores = model.scores(cut, [embedding.split_words(text) for text in cut]).astype(float)
        right = np.array([names.index(document.label) for document in documents])
        print(f"descriptions, keywords {keywords}: temperature {fit_temperature(scores, right, 0.05):.4f}")
    rules = KeywordRules([(label.name, *label.keywords) for label in its.labels])
    hits = np.stack([rules.score(text, embedding.split_words(text)) for text in cut]).astype(float)
    print(f"rules alone: temperature {fit_temperature(hits, right, 0.3):.4f}")
    for examples in (1, 3, 10, None):
        labels = taxonomy(documents, described=True, keywords=True, examples=examples)
        its = from_settings(ClassifySettings.model_validate({"labels": labels}).labels)
        fitted = backend._learn(its, 160).temperature
        print(f"fitted on the examples themselves, {examples or 'all'}: {fitted:.4f}")


def resident_mb() -> dict[str, float]:
    rollup = Path("/proc/self/smaps_rollup").read_text().splitlines()[1:]
    return {line.split(":")[0]: int(line.split()[1]) / 1024 for line in rollup}


def speed() -> None:
    from tui_scraper.engine.phases.classify import Classifier
    from tui_scraper.engine.settings import ClassifySettings
    from tui_scraper.engine.wire import CleanText

    started = time.perf_counter()
    preload()
    print(f"preload: {(time.perf_counter() - started) * 1000:.0f} ms, {resident_mb()['Rss']:.0f} MB resident")
    documents = corpus()
    texts = [CleanText(document.text) for document in documents]
    ten = taxonomy(documents, described=True, keywords=True, examples=10)
    everything = taxonomy(documents, described=True, keywords=True, examples=None)
    cases: dict[str, dict[str, object]] = {
        "general taxonomy": {},
        "general taxonomy, rules": {"backend": "rules"},
        "12 labels, 10 examples": {"labels": ten},
        "12 labels, 658 examples": {"labels": everything},
    }
    for name, settings in cases.items():
        started = time.process_time()
        classifier = Classifier(ClassifySettings.model_validate(settings))
        learnt = time.process_time()
        for text in texts:
            classifier.classify(text, [], "text/plain")
        cold = time.process_time()
        for text in texts:
            classifier.classify(text, [], "text/plain")
        warm = time.process_time()
        print(
            f"{name:26} learn {(learnt - started) * 1000:6.0f} ms   "
            f"{len(texts) / (cold - learnt):7.0f} documents per CPU second, "
            f"{len(texts) / (warm - cold):7.0f} with its words seen before"
        )
    # What a forked worker adds: its own pages only.
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        classifier = Classifier(ClassifySettings())
        for text in texts:
            classifier.classify(text, [], "text/plain")
        memory = resident_mb()
        own = memory["Private_Dirty"] + memory["Private_Clean"]
        print(f"forked worker: {memory['Rss']:.0f} MB resident, {memory['Pss']:.0f} PSS, {own:.0f} its own")
        sys.stdout.flush()
        os._exit(0)
    os.waitpid(child, 0)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("accuracy", "calibrate", "speed"))
    {"accuracy": accuracy, "calibrate": calibrate, "speed": speed}[parser.parse_args().what]()


if __name__ == "__main__":
    main()
