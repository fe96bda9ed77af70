"""Media types by file ending and by magic number, and what people call the ones that are not read.

Names are those of the IANA registry where it has one, else the ones that `file` and shared-mime-info
use. A file ending is a hint; `detect.py` decides what it is worth.
"""

from __future__ import annotations

from typing import Final

from tui_scraper.engine.errors import UnreadFormatError
from tui_scraper.engine.models import Cause

PLAIN: Final = "text/plain"
MARKDOWN: Final = "text/markdown"
RST: Final = "text/x-rst"
HTML: Final = "text/html"
PDF: Final = "application/pdf"
DOCX: Final = "application/vnd.openxmlformats-officedocument.wordprocessingml.document"
XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
XLSB: Final = "application/vnd.ms-excel.sheet.binary.macroenabled.12"
PPTX: Final = "application/vnd.openxmlformats-officedocument.presentationml.presentation"
CSV: Final = "text/csv"
TSV: Final = "text/tab-separated-values"
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
NOTEBOOK: Final = "application/x-ipynb+json"
XML: Final = "application/xml"
SVG: Final = "image/svg+xml"
RTF: Final = "application/rtf"
FB2: Final = "application/x-fictionbook+xml"
FB2_ZIP: Final = "application/x-zip-compressed-fb2"
EPUB: Final = "application/epub+zip"
IBOOKS: Final = "application/x-ibooks+zip"
ODT: Final = "application/vnd.oasis.opendocument.text"
ODS: Final = "application/vnd.oasis.opendocument.spreadsheet"
ODP: Final = "application/vnd.oasis.opendocument.presentation"
ODG: Final = "application/vnd.oasis.opendocument.graphics"
ODF: Final = "application/vnd.oasis.opendocument.formula"
FODT: Final = f"{ODT}-flat-xml"
FODS: Final = f"{ODS}-flat-xml"
FODP: Final = f"{ODP}-flat-xml"
FODG: Final = f"{ODG}-flat-xml"
ROFF: Final = "text/troff"
LATEX: Final = "text/x-tex"
BIBTEX: Final = "text/x-bibtex"
TEXINFO: Final = "text/x-texinfo"
ORG: Final = "text/x-org"
INFO: Final = "text/x-info"
ASCIIDOC: Final = "text/asciidoc"
PO: Final = "text/x-gettext-translation"
CALENDAR: Final = "text/calendar"
VCARD: Final = "text/vcard"
VTT: Final = "text/vtt"
SUBRIP: Final = "application/x-subrip"
SUBSTATION: Final = "text/x-ssa"
MICRODVD: Final = "text/x-microdvd"
SAMI: Final = "application/x-sami"
MAIL: Final = "message/rfc822"
MBOX: Final = "application/mbox"
MHTML: Final = "application/x-mimearchive"
TNEF: Final = "application/vnd.ms-tnef"
DOC: Final = "application/msword"
XLS: Final = "application/vnd.ms-excel"
PPT: Final = "application/vnd.ms-powerpoint"
MSG: Final = "application/vnd.ms-outlook"
OLE: Final = "application/x-ole-storage"
ZIP: Final = "application/zip"
TAR: Final = "application/x-tar"
SEVEN_ZIP: Final = "application/x-7z-compressed"
GZIP: Final = "application/gzip"
BZIP2: Final = "application/x-bzip2"
XZ: Final = "application/x-xz"
LZMA: Final = "application/x-lzma"
ZSTD: Final = "application/zstd"
BINARY: Final = "application/octet-stream"

SOURCE_ENDINGS: Final[dict[str, str]] = {
    "text/x-python": "py pyi pyw pyx pxd",
    "text/x-c": "c h",
    "text/x-c++": "cc cpp cxx c++ hh hpp hxx h++ ino cu cuh",
    "text/x-csharp": "cs csx",
    "text/x-java": "java",
    "text/x-kotlin": "kt kts",
    "text/x-scala": "scala sc sbt",
    "text/x-groovy": "groovy gradle",
    "text/x-go": "go",
    "text/x-rust": "rs",
    "text/x-swift": "swift",
    "text/x-objective-c": "m mm",
    "text/javascript": "js mjs cjs jsx",
    "text/x-typescript": "ts tsx mts cts",
    "text/x-vue": "vue svelte astro",
    "text/x-php": "php phtml php5",
    "text/x-ruby": "rb rake gemspec erb",
    "text/x-perl": "pl pm pod t",
    "text/x-lua": "lua",
    "text/x-r": "r rmd",
    "text/x-julia": "jl",
    "text/x-haskell": "hs lhs",
    "text/x-ocaml": "ml mli",
    "text/x-fsharp": "fs fsi fsx",
    "text/x-erlang": "erl hrl",
    "text/x-elixir": "ex exs",
    "text/x-clojure": "clj cljs cljc edn",
    "text/x-lisp": "lisp lsp cl el",
    "text/x-scheme": "scm ss rkt",
    "text/x-pascal": "pas pp dpr",
    "text/x-fortran": "f f77 f90 f95 f03 f08 for",
    "text/x-ada": "adb ads",
    "text/x-asm": "s asm",
    "text/x-d": "d",
    "text/x-dart": "dart",
    "text/x-zig": "zig",
    "text/x-nim": "nim",
    "text/x-vhdl": "vhd vhdl",
    "text/x-verilog": "v sv svh",
    "text/x-tcl": "tcl tk",
    "text/x-awk": "awk",
    "text/x-sed": "sed",
    "text/x-vb": "vb vbs bas",
    "text/x-cobol": "cob cbl",
    "text/x-cmake": "cmake",
    "text/x-makefile": "mk mak",
    "text/x-dockerfile": "dockerfile",
    "text/x-shellscript": "sh bash zsh ksh fish csh bats",
    "text/x-powershell": "ps1 psm1 psd1",
    "text/x-msdos-batch": "bat cmd",
    "text/x-sql": "sql ddl psql",
    "text/css": "css scss sass less styl",
    "text/x-graphql": "graphql gql",
    "text/x-protobuf": "proto",
    "text/x-thrift": "thrift",
    "text/x-terraform": "tf hcl tfvars",
    "text/x-nix": "nix",
    "text/x-diff": "diff patch",
    "text/x-dot": "dot gv",
    "text/x-toml": "toml",
    "application/yaml": "yaml yml",
    "text/x-ini": "ini cfg conf cnf properties env editorconfig desktop service socket timer",
    "text/x-solidity": "sol",
    "text/x-cocci": "cocci",
    "text/x-tex-macros": "sty cls dtx bst",
}
"""Source code and configuration: kept line by line, without looking for a natural language."""

SOURCE: Final = frozenset(SOURCE_ENDINGS)

TEXT_ENDINGS: Final[dict[str, str]] = {
    PLAIN: "txt text log asc me readme nfo lst",
    MARKDOWN: "md markdown mdown mkd mkdn mdx qmd",
    RST: "rst rest",
    HTML: "html htm xhtml xht shtml",
    CSV: "csv",
    TSV: "tsv tab",
    JSON: "json geojson jsonld webmanifest har",
    NDJSON: "jsonl ndjson jsonlines",
    NOTEBOOK: "ipynb",
    XML: "xml xsl xslt xsd dtd rng rss atom opml docbook dbk dita ditamap tei nxml jats wsdl plist kml gpx"
    " rdf owl xliff xlf tmx ttml dfxp resx xaml musicxml",
    SVG: "svg",
    FB2: "fb2",
    FODT: "fodt",
    FODS: "fods",
    FODP: "fodp",
    FODG: "fodg",
    MAIL: "eml emlx",
    MBOX: "mbox mbx",
    MHTML: "mht mhtml",
    RTF: "rtf",
    "application/postscript": "ps eps",
    ASCIIDOC: "adoc asciidoc",
    ORG: "org",
    INFO: "info",
    LATEX: "tex latex ltx bbl",
    BIBTEX: "bib bibtex",
    TEXINFO: "texi texinfo txi",
    ROFF: "man mdoc roff troff nroff ms",
    PO: "po pot",
    CALENDAR: "ics ical ifb",
    VCARD: "vcf vcard",
    VTT: "vtt webvtt",
    SUBRIP: "srt sbv",
    SUBSTATION: "ass ssa",
    MICRODVD: "sub",
    SAMI: "smi sami",
}
"""Text formats that have a structure of their own, or a name people know them by."""

ARCHIVES: Final = frozenset({ZIP, TAR, SEVEN_ZIP, GZIP, BZIP2, XZ, LZMA, ZSTD})
"""Archives and compressed files. A compressed tar archive has the type of what compresses it."""

STREAMED: Final = ARCHIVES | {MBOX}
"""Containers that are read as streams, so that `input.max_file_size` does not hold for them."""

OPEN_DOCUMENT: Final = frozenset(
    {
        ODT, ODS, ODP, ODG, ODF, FODT, FODS, FODP, FODG,
        f"{ODT}-template", f"{ODT}-master", f"{ODT}-web", f"{ODS}-template", f"{ODP}-template",
        f"{ODG}-template", "application/vnd.oasis.opendocument.chart",
        "application/vnd.sun.xml.writer", "application/vnd.sun.xml.writer.template",
        "application/vnd.sun.xml.writer.global", "application/vnd.sun.xml.calc",
        "application/vnd.sun.xml.calc.template", "application/vnd.sun.xml.impress",
        "application/vnd.sun.xml.impress.template", "application/vnd.sun.xml.draw",
        "application/vnd.sun.xml.draw.template", "application/vnd.sun.xml.math",
    }
)  # fmt: skip
"""OpenDocument, packed and flat, and the formats of OpenOffice.org 1."""

BINARY_ENDINGS: Final[dict[str, str]] = {
    PDF: "pdf",
    DOCX: "docx docm dotx dotm",
    XLSX: "xlsx xlsm xltx xltm xlam",
    XLSB: "xlsb",
    PPTX: "pptx pptm potx potm ppsx ppsm",
    DOC: "doc dot",
    XLS: "xls xlt xla xlw",
    PPT: "ppt pps",
    MSG: "msg oft",
    ODT: "odt ott odm oth sxw stw sxg",
    ODS: "ods ots sxc stc",
    ODP: "odp otp sxi sti",
    ODG: "odg otg sxd std",
    ODF: "odf sxm",
    EPUB: "epub kepub",
    IBOOKS: "ibooks",
    FB2_ZIP: "fbz",
    ZIP: "zip zipx",
    TAR: "tar",
    SEVEN_ZIP: "7z",
    GZIP: "gz tgz",
    BZIP2: "bz2 tbz tbz2",
    XZ: "xz txz",
    LZMA: "lzma tlz",
    ZSTD: "zst tzst",
}
"""Binary formats whose ending is worth believing when the bytes say nothing against it."""

BY_ENDING: Final[dict[bytes, str]] = {
    ending.encode(): media_type
    for table in (SOURCE_ENDINGS, TEXT_ENDINGS, BINARY_ENDINGS)
    for media_type, endings in table.items()
    for ending in endings.split()
}

MAGIC: Final[tuple[tuple[int, bytes, str], ...]] = (
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\x00", "image/tiff"),
    (0, b"MM\x00*", "image/tiff"),
    (0, b"II+\x00", "image/tiff"),
    (0, b"8BPS\x00", "image/vnd.adobe.photoshop"),
    (0, b"\x00\x00\x01\x00", "image/vnd.microsoft.icon"),
    (0, b"\xff\x0a", "image/jxl"),
    (0, b"\x00\x00\x00\x0cJXL ", "image/jxl"),
    (0, b"\x00\x00\x00\x0cjP  ", "image/jp2"),
    (0, b"AT&TFORM", "image/vnd.djvu"),
    (0, b"\xd7\xcd\xc6\x9a", "image/wmf"),
    (0, b"gimp xcf", "image/x-xcf"),
    (0, b"/* XPM */", "image/x-xpixmap"),
    (0, b"\x1f\x8b", GZIP),
    (0, b"BZh", BZIP2),
    (0, b"\xfd7zXZ\x00", XZ),
    (0, b"7z\xbc\xaf\x27\x1c", SEVEN_ZIP),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (0, b"\x28\xb5\x2f\xfd", ZSTD),
    (0, b"\x50\x2a\x4d\x18", ZSTD),  # a frame to be passed over, with which pzstd begins
    (0, b"\x04\x22\x4d\x18", "application/x-lz4"),
    (0, b"LZIP", "application/x-lzip"),
    (0, b"MSCF\x00\x00\x00\x00", "application/vnd.ms-cab-compressed"),
    (0, b"!<arch>\ndebian-binary", "application/vnd.debian.binary-package"),
    (0, b"!<arch>\n", "application/x-archive"),
    (0, b"\xed\xab\xee\xdb", "application/x-rpm"),
    (257, b"ustar", TAR),
    (0, b"070701", "application/x-cpio"),
    (0, b"070707", "application/x-cpio"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"MZ\x90\x00", "application/vnd.microsoft.portable-executable"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\x00asm", "application/wasm"),
    (0, b"dex\n03", "application/vnd.android.dex"),
    (0, b"SQLite format 3\x00", "application/vnd.sqlite3"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"ARROW1", "application/vnd.apache.arrow.file"),
    (0, b"Obj\x01", "application/avro"),
    (0, b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (0, b"\x93NUMPY", "application/x-npy"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"MThd\x00\x00\x00\x06", "audio/midi"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"\x1aE\xdf\xa3", "video/x-matroska"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"\x00\x00\x01\xba", "video/mpeg"),
    (0, b"\x00\x00\x01\xb3", "video/mpeg"),
    (0, b"0&\xb2u\x8ef\xcf\x11", "video/x-ms-asf"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"OTTO\x00", "font/otf"),
    (0, b"\x00\x01\x00\x00\x00", "font/ttf"),
    (0, b"ttcf\x00", "font/collection"),
    (0, b"{\\rtf", RTF),
    (0, b"\x78\x9f\x3e\x22", TNEF),
    (0, b"%!PS", "application/postscript"),
    (0, b"\xc5\xd0\xd3\xc6", "application/postscript"),
    (0, b"ITSF\x03\x00", "application/vnd.ms-htmlhelp"),
    (0, b"\xde\x12\x04\x95", "application/x-gettext-mo"),
    (0, b"\x95\x04\x12\xde", "application/x-gettext-mo"),
    (0, b"\xac\xed\x00\x05", "application/x-java-serialized-object"),
    (32769, b"CD001", "application/vnd.efi.iso"),
    (60, b"BOOKMOBI", "application/x-mobipocket-ebook"),
)
"""Magic numbers that prove a format: (offset, bytes, media type)."""

FTYP: Final[dict[bytes, str]] = {
    b"qt  ": "video/quicktime",
    b"heic": "image/heic",
    b"heix": "image/heic",
    b"mif1": "image/heif",
    b"avif": "image/avif",
    b"M4A ": "audio/mp4",
    b"M4B ": "audio/mp4",
    b"crx ": "image/x-canon-cr3",
}
"""Brands of ISO media files ('ftyp' at offset 4); any other is video/mp4."""

RIFF: Final[dict[bytes, str]] = {b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo", b"WEBP": "image/webp"}
"""Kinds of RIFF files, at offset 8."""

ZIP_CONTENTS: Final[tuple[tuple[bytes, str], ...]] = (
    (b"word/document", DOCX),
    (b"xl/workbook.bin", XLSB),
    (b"xl/workbook", XLSX),
    (b"ppt/presentation", PPTX),
    (b"visio/document.xml", "application/vnd.ms-visio.drawing"),
    (b"META-INF/container.xml", EPUB),
    (b"AndroidManifest.xml", "application/vnd.android.package-archive"),
    (b"META-INF/MANIFEST.MF", "application/java-archive"),
)
"""Names in a zip listing that say what the container is."""

NAMES: Final[dict[str, str]] = {
    ZIP: "ZIP archives",
    GZIP: "gzip-compressed files",
    BZIP2: "bzip2-compressed files",
    XZ: "xz-compressed files",
    LZMA: "LZMA-compressed files",
    ZSTD: "Zstandard-compressed files",
    "application/x-lz4": "LZ4-compressed files",
    "application/x-lzip": "lzip-compressed files",
    SEVEN_ZIP: "7z archives",
    "application/vnd.rar": "RAR archives",
    TAR: "tar archives",
    "application/x-cpio": "cpio archives",
    "application/x-archive": "ar archives",
    "application/vnd.ms-cab-compressed": "Cabinet archives",
    "application/vnd.debian.binary-package": "Debian packages",
    "application/x-rpm": "RPM packages",
    "application/java-archive": "Java archives",
    "application/vnd.android.package-archive": "Android packages",
    EPUB: "EPUB books",
    IBOOKS: "iBooks books",
    FB2: "FictionBook books",
    FB2_ZIP: "FictionBook books",
    "application/x-mobipocket-ebook": "Mobipocket books",
    "application/msword": "Word documents in the old .doc format",
    "application/vnd.ms-excel": "Excel workbooks in the old .xls format",
    "application/vnd.ms-powerpoint": "PowerPoint presentations in the old .ppt format",
    "application/vnd.ms-outlook": "Outlook messages",
    "application/x-ole-storage": "OLE containers",
    "application/vnd.ms-visio.drawing": "Visio drawings",
    "application/vnd.ms-htmlhelp": "compiled HTML help files",
    XLSX: "Excel workbooks",
    XLSB: "binary Excel workbooks",
    PPTX: "PowerPoint presentations",
    ODT: "OpenDocument texts",
    ODS: "OpenDocument spreadsheets",
    ODP: "OpenDocument presentations",
    ODG: "OpenDocument drawings",
    ODF: "OpenDocument formulas",
    "application/vnd.oasis.opendocument.database": "OpenDocument databases",
    RTF: "RTF documents",
    "application/postscript": "PostScript documents",
    "application/xml": "XML documents",
    "message/rfc822": "mail messages",
    MBOX: "mailboxes",
    MHTML: "saved web pages",
    TNEF: "Outlook's winmail.dat files",
    "application/octet-stream": "binary files of an unknown format",
    "application/x-elf": "compiled programs",
    "application/vnd.microsoft.portable-executable": "Windows programs",
    "application/x-mach-binary": "compiled programs",
    "application/java-vm": "compiled Java classes",
    "application/wasm": "WebAssembly modules",
    "application/vnd.android.dex": "compiled Android classes",
    "application/x-java-serialized-object": "serialised Java objects",
    "application/vnd.apache.arrow.file": "Arrow files",
    "application/avro": "Avro files",
    "application/x-hdf5": "HDF5 files",
    "application/x-npy": "NumPy arrays",
    "application/vnd.efi.iso": "disc images",
    "application/vnd.sqlite3": "SQLite databases",
    "application/vnd.apache.parquet": "Parquet files",
    "application/x-gettext-mo": "compiled translations",
    "image/svg+xml": "SVG drawings",
    "image/vnd.microsoft.icon": "icons",
    "image/vnd.adobe.photoshop": "Photoshop images",
    "image/vnd.djvu": "DjVu documents",
    "image/x-xpixmap": "XPM images",
    "video/x-matroska": "Matroska videos",
    "video/quicktime": "QuickTime videos",
    "video/x-msvideo": "AVI videos",
    "audio/mpeg": "MP3 recordings",
}
_FAMILIES = {"image": "images", "audio": "recordings", "video": "videos", "font": "fonts"}


def name_of(media_type: str) -> str:
    """What people call files of this type, in the plural: 'PNG images'."""
    known = NAMES.get(media_type)
    if known is not None:
        return known
    family, _, kind = media_type.partition("/")
    kind = kind.removeprefix("x-").removeprefix("vnd.")
    if family in _FAMILIES:
        return f"{kind.upper()} {_FAMILIES[family]}"
    return f"files of the type {media_type}"


def unread(media_type: str) -> UnreadFormatError:
    """The error of a file whose format is not read, such as 'PNG images are not read by this version.'."""
    names = name_of(media_type)
    return UnreadFormatError(
        Cause.UNSUPPORTED, f"{names[0].upper()}{names[1:]} are not read by this version."
    )
