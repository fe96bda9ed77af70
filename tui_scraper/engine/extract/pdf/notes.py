"""What is written on a PDF's pages besides their content: form fields and comments.

PDFium keeps both out of a page's text. Values are read from the fields themselves, not from how they are
drawn, so that a value counts that no program has drawn yet. No script of the document runs: this PDFium
has no JavaScript, and none of the calls made here triggers an action.
"""

from __future__ import annotations

import ctypes
from typing import Any, Final

_WITH_COMMENTS: Final = frozenset((1, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17))
"""Notes, free text, shapes, highlighting, stamps, ink and attached files. Not links (their contents say
where they lead) and not pop-ups (they repeat what they belong to)."""
_WIDGET: Final = 20
_HIDDEN: Final = 1 << 1
_CHECK_BOX, _COMBO_BOX, _LIST_BOX, _TEXT_FIELD = 2, 4, 5, 6
_PASSWORD: Final = 1 << 13
_MAX_ON_A_PAGE: Final = 1_000
_MAX_OPTIONS: Final = 30
_MAX_CHARS: Final = 50_000


class Notes:
    """The notes of a document, page by page. `close` before the document is closed."""

    def __init__(self, pdfium: Any, document: Any) -> None:
        self._pdfium = pdfium
        self._form: Any = None
        self._seen: set[str] = set()
        if pdfium.FPDF_GetFormType(document):
            self._callbacks = pdfium.FPDF_FORMFILLINFO(version=2)  # none: nothing here reacts to anything
            self._form = pdfium.FPDFDOC_InitFormFillEnvironment(document, ctypes.byref(self._callbacks))

    def close(self) -> None:
        """Let go of the document's form."""
        if self._form:
            self._pdfium.FPDFDOC_ExitFormFillEnvironment(self._form)
            self._form = None

    def of_page(self, page: Any, text: str) -> list[str]:
        """What is noted on a page and not said in its text: paragraphs."""
        pdfium = self._pdfium
        found: dict[str, None] = {}
        for number in range(min(pdfium.FPDFPage_GetAnnotCount(page), _MAX_ON_A_PAGE)):
            annotation = pdfium.FPDFPage_GetAnnot(page, number)
            if not annotation:
                continue
            try:
                kind = pdfium.FPDFAnnot_GetSubtype(annotation)
                note = ""
                if kind in _WITH_COMMENTS:
                    note = self._string(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents")
                elif kind == _WIDGET and self._form:
                    note = self._field(annotation)
            finally:
                pdfium.FPDFPage_CloseAnnot(annotation)
            if note and note not in text:
                found[note] = None
        return list(found)

    def _field(self, annotation: Any) -> str:
        pdfium, form = self._pdfium, self._form
        kind = pdfium.FPDFAnnot_GetFormFieldType(form, annotation)
        if kind not in (_CHECK_BOX, _COMBO_BOX, _LIST_BOX, _TEXT_FIELD):
            return ""
        if pdfium.FPDFAnnot_GetFlags(annotation) & _HIDDEN:
            return ""
        label = self._string(pdfium.FPDFAnnot_GetFormFieldAlternateName, form, annotation)
        if kind == _CHECK_BOX:
            state = self._string(pdfium.FPDFAnnot_GetStringValue, annotation, b"AS") if label else ""
            return f"☒ {label}" if state not in ("", "Off") else ""
        if kind == _TEXT_FIELD:
            if pdfium.FPDFAnnot_GetFormFieldFlags(form, annotation) & _PASSWORD:
                return ""
            return _labelled(label, self._string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation))
        return self._choice(annotation, label)

    def _choice(self, annotation: Any, label: str) -> str:
        pdfium, form = self._pdfium, self._form
        count = pdfium.FPDFAnnot_GetOptionCount(form, annotation)
        chosen: list[str] = []
        options: list[str] = []
        for number in range(min(count, _MAX_ON_A_PAGE)):
            option = self._string(pdfium.FPDFAnnot_GetOptionLabel, form, annotation, number)
            if pdfium.FPDFAnnot_IsOptionSelected(form, annotation, number):
                chosen.append(option)
            options.append(option)
        value = ", ".join(chosen) or self._string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)
        listed = "".join(f"\n- {option}" for option in options if option.strip())
        if count > _MAX_OPTIONS or listed in self._seen:
            listed = ""
        self._seen.add(listed)
        return _labelled(label, value) + listed if value else f"{label}{listed}" if listed else ""

    def _string(self, function: Any, *arguments: Any) -> str:
        """What a function of PDFium writes as UTF-16 into a buffer whose size it tells first."""
        size = function(*arguments, None, 0)
        if not 2 < size <= 2 * _MAX_CHARS:
            return ""
        buffer = (ctypes.c_ushort * (size // 2 + 1))()
        function(*arguments, buffer, size)
        text = bytes(buffer)[: size - 2].decode("utf-16-le", "ignore")
        return text.replace("\r\n", "\n").replace("\r", "\n").strip(" \0\t\n")


def _labelled(label: str, value: str) -> str:
    if not value:
        return ""
    return f"{label}:{chr(10) if chr(10) in value else ' '}{value}" if label and label != value else value
