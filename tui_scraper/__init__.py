"""tui-scraper: turn a folder of unsorted documents into text, chunks, labels and a search index."""

__version__ = "0.1.0"
