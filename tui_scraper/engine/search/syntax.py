"""What may be typed into a search, for whoever reads it and for whoever explains it. Loads nothing."""

from __future__ import annotations

FIELDS = {
    "title": "title",
    "label": "label",
    "path": "path",
    "type": "type",
    "date": "date",
    "modified": "date",
    "language": "language",
    "lang": "language",
}
"""What may stand before a colon, and what it is about."""

DATES = "2024, 2024-03, 2024-03-17, >2024-01-15 or 2023..2024"
"""What a date may be."""

SYNTAX = (
    ('"unpaid invoice"', "these words, one after another"),
    ("invoi*", "words that begin so"),
    ("-draft", "leaves out; also before a field"),
    ("title:report", "in the title"),
    ("label:mail,letter", "with one of these labels"),
    ("path:2024/", "with this in the path; * matches anything"),
    ("type:pdf", "pdf, html, mail, word, text …, or a media type"),
    ("date:2024-03", "modified then; also >2024-01-15, 2023..2024"),
    ("language:de", "in that language"),
)
"""What may be typed, and what it does: for help, in any front end."""
