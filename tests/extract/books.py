"""OpenDocument files and EPUB books made by the tests themselves."""

from __future__ import annotations

import io
import zipfile

_PREFIXES = {
    "office": "office", "text": "text", "table": "table", "draw": "drawing", "style": "style",
    "presentation": "presentation", "meta": "meta", "svg": "svg-compatible", "manifest": "manifest",
}  # fmt: skip
NAMESPACES = (
    " ".join(
        f'xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for prefix, name in _PREFIXES.items()
    )
    + ' xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xlink="http://www.w3.org/1999/xlink"'
)
ODT = "application/vnd.oasis.opendocument."


def package(parts: dict[str, str | bytes], *, mimetype: str = "", packed: bool = True) -> bytes:
    """A zip of these parts, with its media type stored first if it has one."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as container:
        if mimetype:
            container.writestr(zipfile.ZipInfo("mimetype"), mimetype)
        for name, content in parts.items():
            container.writestr(name, content)
    return out.getvalue()


def odf_xml(body: str, kind: str = "text", *, styles: str = "", root: str = "document-content") -> str:
    """The content of an OpenDocument file."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><office:{root} {NAMESPACES}>{styles}'
        f"<office:body><office:{kind}>{body}</office:{kind}></office:body></office:{root}>"
    )


def odf(
    body: str,
    kind: str = "text",
    *,
    styles: str = "",
    parts: dict[str, str | bytes] | None = None,
    packed: bool = True,
) -> bytes:
    """An OpenDocument file with this body."""
    name = "graphics" if kind == "drawing" else kind
    content: dict[str, str | bytes] = {"content.xml": odf_xml(body, kind, styles=styles)}
    return package(content | (parts or {}), mimetype=ODT + name, packed=packed)


CONTAINER = (
    '<?xml version="1.0"?><container xmlns="urn:oasis:names:tc:opendocument:xmlns:container" version="1.0">'
    '<rootfiles><rootfile full-path="OEBPS/book.opf" media-type="application/oebps-package+xml"/></rootfiles>'
    "</container>"
)
XHTML = "application/xhtml+xml"


def opf(items: list[tuple[str, str, str]], spine: list[str], *, more: str = "", extra: str = "") -> str:
    """A package document: items are (id, href, media type and further attributes)."""
    manifest = "".join(
        f'<item id="{identity}" href="{href}" media-type="{rest}"/>' for identity, href, rest in items
    )
    order = "".join(f'<itemref idref="{identity}"/>' for identity in spine)
    return (
        '<?xml version="1.0"?><package xmlns="http://www.idpf.org/2007/opf" version="3.0"><metadata '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>A Book &amp; More</dc:title>'
        f"<dc:language>en</dc:language>{more}</metadata><manifest>{manifest}</manifest>"
        f"<spine>{order}</spine>{extra}</package>"
    )


def chapter(body: str, title: str = "<title>Chapter</title>") -> str:
    """One XHTML document."""
    return (
        '<?xml version="1.0" encoding="utf-8"?><!DOCTYPE html><html xmlns="http://www.w3.org/1999/xhtml">'
        f"<head>{title}</head><body>{body}</body></html>"
    )


def epub(
    chapters: dict[str, str | bytes],
    *,
    package_document: str | None = None,
    container: str = CONTAINER,
    parts: dict[str, str | bytes] | None = None,
    mimetype: str = "application/epub+zip",
) -> bytes:
    """A book of these chapters (name in the folder OEBPS -> document), in this order if nothing is said."""
    items = [(f"c{number}", name, XHTML) for number, name in enumerate(chapters)]
    document = opf(items, [item[0] for item in items]) if package_document is None else package_document
    content: dict[str, str | bytes] = {}
    if container:
        content["META-INF/container.xml"] = container
    if document:
        content["OEBPS/book.opf"] = document
    content |= {f"OEBPS/{name}": text for name, text in chapters.items()}
    return package(content | (parts or {}), mimetype=mimetype)
