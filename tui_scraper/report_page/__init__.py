"""The report as one HTML page, which loads nothing: its style is in it, and its pictures are inline SVG."""
