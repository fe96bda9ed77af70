from __future__ import annotations

import json

from tests.extract.files import read


def test_notebooks_give_their_cells_and_what_they_printed() -> None:
    notebook = {
        "nbformat": 4,
        "metadata": {"kernelspec": {"language": "python"}},
        "cells": [
            {
                "cell_type": "markdown",
                "source": ["# Title\n", "words"],
                "attachments": {"a.png": {"image/png": "QUJD"}},
            },
            {
                "cell_type": "code",
                "source": "print(1)",
                "outputs": [
                    {"output_type": "stream", "text": ["1\n"]},
                    {
                        "output_type": "display_data",
                        "data": {"image/png": "QUJD", "text/plain": "<Figure size 1x1>"},
                    },
                    {"output_type": "execute_result", "data": {"text/html": "<table><tr><td>a<td>b</table>"}},
                    {
                        "output_type": "error",
                        "ename": "E",
                        "evalue": "bad",
                        "traceback": ["\u001b[31mE\u001b[0m: bad"],
                    },
                ],
            },
            "not a cell",
            {"cell_type": "code", "source": [], "outputs": None},
        ],
    }
    for name in ("a.ipynb", "a.json", "noending"):
        result = read(json.dumps(notebook), name)
        assert result.text == "# Title\nwords\n\n```python\nprint(1)\n```\n\n```\n1\n\na | b\nE: bad\n```"
        assert result.title == "Title"


def test_old_notebooks_are_read() -> None:
    notebook = {
        "nbformat": 3,
        "worksheets": [
            {
                "cells": [
                    {"cell_type": "heading", "level": 2, "source": ["Part"]},
                    {"cell_type": "code", "language": "python", "input": ["x"], "outputs": [{"text": ["7"]}]},
                ]
            }
        ],
    }
    assert read(json.dumps(notebook), "a.ipynb").text == "## Part\n\n```python\nx\n```\n\n```\n7\n```"


def test_what_a_cell_prints_is_bounded() -> None:
    cell = {"cell_type": "code", "source": "f()", "outputs": [{"text": "line\n" * 100_000}]}
    text = read(json.dumps({"nbformat": 4, "cells": [cell] * 3}), "a.ipynb").text
    assert len(text) < 15_000
    assert text.count("…") == 3


def test_a_broken_notebook_stays_as_it_is_written() -> None:
    assert read('{"cells": [{"source": "words"', "a.ipynb").text == '{"cells": [{"source": "words"'
    assert "words" in read('{"cells": "words", "nbformat": 4}', "a.ipynb").text
