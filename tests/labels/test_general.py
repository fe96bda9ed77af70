"""The general taxonomy sorts what a folder usually holds. None of these texts is one of its examples."""

from __future__ import annotations

import pytest

from tui_scraper.engine.labels.taxonomy import general
from tui_scraper.engine.phases.classify import Classifier
from tui_scraper.engine.settings import ClassifySettings, LabelSettings
from tui_scraper.engine.wire import CleanText

DOCUMENTS = [
    (
        "finance",
        "# Rechnung Nr. 2023-118\n"
        "Musterfirma GmbH\n"
        "Pos. Menge Bezeichnung Einzelpreis Gesamt\n"
        "1 2 Beratung 120,00 240,00\n"
        "Zwischensumme 240,00 EUR\n"
        "MwSt 19%\n"
        "Gesamtbetrag 285,60 EUR\n"
        "Zahlbar innerhalb von 14 Tagen auf unser Konto IBAN DE02",
    ),
    (
        "finance",
        "INVOICE\n"
        "Acme Corporation, 12 Main Street\n"
        "Invoice #: 0042  Date: 2024-02-01\n"
        "Qty Description Unit price Amount\n"
        "3 Toner cartridges 49.00 147.00\n"
        "Subtotal 147.00  Sales tax 12.10  Total due 159.10",
    ),
    (
        "legal",
        "NON-DISCLOSURE AGREEMENT\n"
        "This Agreement is made between the Disclosing Party and the Receiving Party. "
        "Confidential Information shall not be disclosed to third parties. This agreement "
        "shall be governed by the laws of Ireland.",
    ),
    (
        "personnel",
        "Jane Smith\n"
        "12 Park Road, London, jane@example.org\n"
        "Profile: experienced nurse with ten years in intensive care.\n"
        "Employment history\n"
        "2012-2020 Staff nurse, St Mary's Hospital\n"
        "Education\n"
        "BSc Nursing, King's College\n"
        "Languages: English, French",
    ),
    (
        "correspondence",
        "Hi Mark,\n"
        "\n"
        "did you get my message about the weekend? We are leaving on Friday evening, let me "
        "know if you want to come along.\n"
        "\n"
        "See you,\n"
        "Lena",
    ),
    (
        "correspondence",
        "Sehr geehrter Herr Müller,\n"
        "\n"
        "vielen Dank für Ihr Schreiben vom 2. Mai. Leider müssen wir Ihnen mitteilen, dass "
        "der Termin verschoben wird.\n"
        "\n"
        "Mit freundlichen Grüßen\n"
        "K. Schmidt",
    ),
    (
        "news",
        "Floods force thousands from homes\n"
        "Heavy rain has forced more than 3,000 people to leave their homes in the north of "
        "the country, officials said on Thursday. The interior minister visited the region "
        "and promised emergency aid.",
    ),
    (
        "science",
        "Effects of soil moisture on nitrogen uptake in winter wheat\n"
        "Abstract\n"
        "We studied the uptake of nitrogen under three irrigation regimes. Plants under "
        "drought stress showed reduced uptake (p<0.05). Introduction. Nitrogen is a limiting "
        "nutrient [1,2].",
    ),
    (
        "report",
        "Minutes of the parish council meeting held on 4 June\n"
        "Present: Cllr Jones (chair), Cllr Patel. Apologies: Cllr Green.\n"
        "1. Minutes of the last meeting were approved. 2. Playground: quotes to be obtained. "
        "Action: Cllr Patel.",
    ),
    (
        "report",
        "Q3 sales review\n"
        "This report summarises the performance of the northern region in the third quarter. "
        "Sales rose by 4%, while costs were above plan. We recommend reviewing the discount "
        "policy.",
    ),
    (
        "manual",
        "Replacing the filter\n"
        "1. Switch off the machine and unplug it. 2. Open the cover on the rear. 3. Pull out "
        "the old filter and insert the new one. Warning: do not use water. If the red light "
        "blinks, see Troubleshooting on page 12.",
    ),
    (
        "code",
        "def fib(n):\n"
        "    a, b = 0, 1\n"
        "    while n:\n"
        "        a, b = b, a + b\n"
        "        n -= 1\n"
        "    return a\n"
        "\n"
        "if __name__ == '__main__':\n"
        "    print(fib(10))",
    ),
    (
        "data",
        "country;year;gdp;population\nAustria;2019;445;8.9\nBelgium;2019;533;11.5\nChile;2019;282;19.0",
    ),
    (
        "configuration",
        "[mysqld]\n"
        "user = mysql\n"
        "port = 3306\n"
        "bind-address = 127.0.0.1\n"
        "max_connections = 100\n"
        "log_error = /var/log/mysql/error.log",
    ),
    (
        "configuration",
        "Jan 12 03:11:52 web1 sshd[2211]: Failed password for root from 10.0.0.3 port 4222\n"
        "Jan 12 03:11:55 web1 sshd[2211]: Connection closed by 10.0.0.3\n"
        "Jan 12 03:12:01 web1 CRON[2219]: session opened",
    ),
    (
        "presentation",
        "Introducing SmartLight 3000!\n"
        "Save energy. Save money. Our brand-new lamp adapts to your day. Order before Sunday "
        "and get 20% off. Loved by over 10,000 customers.",
    ),
    (
        "book",
        "The captain looked at the sky and said nothing. For three days the wind had blown "
        'from the west, and the men whispered of a curse. "We turn back," said Tom at last, '
        "but nobody answered him.",
    ),
    (
        "changelog",
        "v1.8.0\n"
        "- add support for Python 3.12\n"
        "- fix memory leak in parser (#812)\n"
        "- drop Python 3.7\n"
        "v1.7.2\n"
        "- fix regression in CLI",
    ),
    (
        "specification",
        "4.2 Frame format. A frame consists of a header and a payload. The receiver MUST "
        "discard frames with an invalid checksum. Implementations SHOULD support lengths up "
        "to 65535 octets.",
    ),
]


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return Classifier(ClassifySettings())


@pytest.mark.parametrize(("expected", "text"), DOCUMENTS)
def test_a_common_document_gets_its_kind(classifier: Classifier, expected: str, text: str) -> None:
    found = classifier.classify(CleanText(text), [], "text/plain")
    assert found.labels == [expected], found


def test_it_could_have_been_written_as_settings() -> None:
    labels = [
        LabelSettings(
            name=label.name,
            description=label.description,
            keywords=list(label.keywords),
            examples=list(label.examples),
        )
        for label in general().labels
    ]
    assert 12 <= len(ClassifySettings(labels=labels).labels) <= 16
    assert all(label.description for label in labels)


def test_only_the_last_label_is_for_what_fits_no_other() -> None:
    taxonomy = general()
    assert taxonomy.fallback == taxonomy.labels[-1]
    assert len(taxonomy.matched) == len(taxonomy.labels) - 1
    assert all(label.examples and label.keywords for label in taxonomy.matched)


@pytest.mark.parametrize(
    ("media_type", "hint"),
    [
        ("text/x-rust", "text/x-*"),
        ("text/x-ini", "text/x-ini"),
        ("text/csv", "text/csv"),
        ("text/html", ""),
        ("", ""),
    ],
)
def test_a_media_type_falls_under_the_closest_entry(media_type: str, hint: str) -> None:
    assert general().hint(media_type) == hint
