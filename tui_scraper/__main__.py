"""`python -m tui_scraper`: the same as the command `tui-scraper`."""

from tui_scraper.cli import main

main()
