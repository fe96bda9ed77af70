from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui_scraper.formatting import wrap
from tui_scraper.marking import bold, wrap_marked

PLACES = st.lists(st.integers(0, 80), max_size=8).map(lambda some: sorted(set(some)))


@given(st.text(alphabet="ab c\n東", max_size=80), PLACES, st.integers(2, 30))
def test_marks_change_nothing_but_the_role(text: str, places: list[int], width: int) -> None:
    marks = list(zip(places[::2], places[1::2], strict=False))
    lines = list(wrap_marked(text, marks, width))
    assert ["".join(span.text for span in line) for line in lines] == wrap(text, width)
    shown = "".join(span.text for line in lines for span in line if span.role)
    wanted = "".join(text[start:end] for start, end in marks)
    assert "".join(shown.split()) == "".join(wanted.split())


def test_marked_words_are_bold_on_a_terminal() -> None:
    (line,) = wrap_marked("two invoices", [(4, 12)], 80)
    assert bold(line) == "two \x1b[1minvoices\x1b[22m"
