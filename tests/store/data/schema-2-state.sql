-- state.db of a complete run over five files, as the program with schema 2 left it.
BEGIN TRANSACTION;
CREATE TABLE artifact(
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    phase INTEGER NOT NULL,
    output BLOB NOT NULL,
    blob INTEGER,
    data BLOB,
    amount INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL
);
INSERT INTO artifact VALUES(1,X'AC70CCD5D4E55DAC03D019C8D33132A7',1,X'AE45C6D20DBBBC2CEB67B3B2208D9DAA',1,X'9193C409696E6E65722E7478741ACF17CCD493F19A0400',12,1795972080.3272345);
INSERT INTO artifact VALUES(2,X'891B4B52D4C96A7EEC5EFB669299166F',2,X'E98B53BB8CF08E312D26FF61E44DDA0B',2,NULL,3,1795972080.3272345);
INSERT INTO artifact VALUES(3,X'824F36EC51BA37A8309691A7D70EE887',3,X'CFA3E2770020125390F427A06A1BD553',NULL,X'9891AE636F72726573706F6E64656E6365CB3FC89374BC6A7EFAA56C6F63616C9392A56F74686572CB3FC89374BC6A7EFA92A464617461CB3FBEB851EB851EB892A96368616E67656C6F67CB3FB9E83E425AEE63A0000000',0,1795972080.3272345);
INSERT INTO artifact VALUES(4,X'157FAB1BDA72A1AEC4564F99FBC2A53E',1,X'5D8D75705A29CE0DFDA410619F4401BD',3,NULL,34,1795972080.43536);
INSERT INTO artifact VALUES(5,X'9675A8DE126CA7291D0804331DD7E41D',2,X'ED449435C65B149C34159801CE2B52FD',4,NULL,11,1795972080.43536);
INSERT INTO artifact VALUES(6,X'28429C47222BC092F3C5B9786920C7B0',3,X'C4DF2075DECD2913997ABA57B343D7A5',NULL,X'9891A66D616E75616CCB3FEFF3B645A1CAC1A56C6F63616C9392A56F74686572CB3F40624DD2F1A9FC92A4626F6F6BCB3F33A92A3055326192A67265706F7274CB3F1A36E2EB1C432DA0000000',0,1795972080.43536);
INSERT INTO artifact VALUES(7,X'BCCC6F147925EA3C7EE7A6CC488A306A',1,X'690CFE12451DC992EBAAD82D91328760',5,NULL,46,1795972080.43536);
INSERT INTO artifact VALUES(8,X'8329E66199C05F8DD7FDEA79C3E9F1AE',2,X'A9F95035BB4BC5C81EEB9999145A7E2C',6,NULL,8,1795972080.43536);
INSERT INTO artifact VALUES(9,X'AC7F768E040C9193389AD9326A232A91',3,X'FFCC00A5C5364BCEDA9086BE710E7E7F',NULL,X'9891A766696E616E6365CB3FE0BB98C7E28241A56C6F63616C9392A56F74686572CB3FBDED288CE703B092AC70726573656E746174696F6ECB3FB0CB295E9E1B0992A4636F6465CB3FAA6B50B0F27BB3A0000000',0,1795972080.43536);
INSERT INTO artifact VALUES(10,X'C05B22BC8FFA1FC59FD64EFD87269E60',1,X'5B61E2AC9D5943E2917B5214AD3B7B08',7,NULL,25,1795972080.4833553);
INSERT INTO artifact VALUES(11,X'9594C2794361AFEC3EFE29C1F7AB6C54',2,X'98656D53D07C787A328198A8429B180B',8,NULL,6,1795972080.4833553);
INSERT INTO artifact VALUES(12,X'B4C7360CF835A77AC682A2026BED6AA7',3,X'F50879B5B1E679FB97FE3EFEE41E5CF4',NULL,X'9891A4626F6F6BCB3FCDD97F62B6AE7DA56C6F63616C9392A56F74686572CB3FC786C226809D4992AE636F72726573706F6E64656E6365CB3FC027525460AA6592AC70726573656E746174696F6ECB3FB096BB98C7E282A0000000',0,1795972080.4833553);
CREATE TABLE branch(
    id INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL,
    fork_seq INTEGER NOT NULL,
    kept INTEGER NOT NULL
);
INSERT INTO branch VALUES(1,0,0,5);
CREATE TABLE checkpoint(
    id INTEGER PRIMARY KEY,
    parent INTEGER REFERENCES checkpoint,
    run INTEGER NOT NULL,
    branch INTEGER NOT NULL,
    scan INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    lineages TEXT NOT NULL,
    totals TEXT NOT NULL,
    inside TEXT NOT NULL DEFAULT '[0, 0]',
    scan_changes INTEGER NOT NULL DEFAULT -1,
    tokens INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    name TEXT,
    time REAL NOT NULL
);
INSERT INTO checkpoint VALUES(1,NULL,1,1,1,18,0,'{"input": 1, "clean": 2, "chunk": 3, "classify": 4, "index": 5}','{"input": {"done": [6, 265, 0]}, "clean": {"done": [4, 250, 0], "failed": [1, 15, 0], "empty": [1, 0, 0]}, "chunk": {"done": [4, 250, 28]}, "classify": {"done": [4, 250, 0]}, "index": {"done": [4, 250, 0]}}','[1, 26]',6,0,0,NULL,1795972081.002968);
INSERT INTO checkpoint VALUES(2,1,1,1,1,18,1,'{"input": 1, "clean": 2, "chunk": 3, "classify": 4, "index": 5}','{"input": {"done": [6, 265, 0]}, "clean": {"done": [4, 250, 0], "failed": [1, 15, 0], "empty": [1, 0, 0]}, "chunk": {"done": [4, 250, 28]}, "classify": {"done": [4, 250, 0]}, "index": {"done": [4, 250, 0]}}','[1, 26]',6,0,0,NULL,1795972081.0080304);
INSERT INTO checkpoint VALUES(3,2,1,1,1,18,2,'{"input": 1, "clean": 2, "chunk": 3, "classify": 4, "index": 5}','{"input": {"done": [6, 265, 0]}, "clean": {"done": [4, 250, 0], "failed": [1, 15, 0], "empty": [1, 0, 0]}, "chunk": {"done": [4, 250, 28]}, "classify": {"done": [4, 250, 0]}, "index": {"done": [4, 250, 0]}}','[1, 26]',6,0,0,NULL,1795972081.0155482);
INSERT INTO checkpoint VALUES(4,3,1,1,1,18,3,'{"input": 1, "clean": 2, "chunk": 3, "classify": 4, "index": 5}','{"input": {"done": [6, 265, 0]}, "clean": {"done": [4, 250, 0], "failed": [1, 15, 0], "empty": [1, 0, 0]}, "chunk": {"done": [4, 250, 28]}, "classify": {"done": [4, 250, 0]}, "index": {"done": [4, 250, 0]}}','[1, 26]',6,0,0,NULL,1795972081.0173938);
INSERT INTO checkpoint VALUES(5,4,1,1,1,18,4,'{"input": 1, "clean": 2, "chunk": 3, "classify": 4, "index": 5}','{"input": {"done": [6, 265, 0]}, "clean": {"done": [4, 250, 0], "failed": [1, 15, 0], "empty": [1, 0, 0]}, "chunk": {"done": [4, 250, 28]}, "classify": {"done": [4, 250, 0]}, "index": {"done": [4, 250, 0]}}','[1, 26]',6,0,0,NULL,1795972081.018865);
INSERT INTO checkpoint VALUES(6,5,1,1,1,18,5,'{"input": 1, "clean": 2, "chunk": 3, "classify": 4, "index": 5}','{"input": {"done": [6, 265, 0]}, "clean": {"done": [4, 250, 0], "failed": [1, 15, 0], "empty": [1, 0, 0]}, "chunk": {"done": [4, 250, 28]}, "classify": {"done": [4, 250, 0]}, "index": {"done": [4, 250, 0]}}','[1, 26]',6,0,0,NULL,1795972081.1189663);
CREATE TABLE config(
    id INTEGER PRIMARY KEY,
    phase INTEGER NOT NULL,
    hash BLOB NOT NULL,
    json TEXT NOT NULL,
    UNIQUE(phase, hash)
);
INSERT INTO config VALUES(1,0,X'59D0B2D8B87608EF57ED2D267A2E654D','{"follow_symlinks": false, "max_file_size": 100000000}');
INSERT INTO config VALUES(2,1,X'A23F631C296E1BF92569ADA7A3E9BFB1','{"archives": true, "max_chars": 10000000, "max_html_depth": 512, "max_pdf_pages": 2000, "ocr": "eng"}');
INSERT INTO config VALUES(3,2,X'BBA41FA59FB42D118754E565AD7151A8','{"max_tokens": 512, "overlap": 64, "tokenizer": "o200k"}');
INSERT INTO config VALUES(4,3,X'D1940FF35D9741290D64E6A825DB8004','{"digest_tokens": 112, "embedding": "wordllama l2_supercat 256 58e15a3604881173c75c5d7ec38fe27f", "method": "local", "multi_label": false, "taxonomy": [{"description": "Contracts, licences, terms and conditions, laws, court papers, copyright and warranty statements", "examples": ["This Agreement is entered into between the parties named below. The Licensee shall indemnify and hold harmless the Licensor against any claim. Governing law and jurisdiction.", "Permission is hereby granted, free of charge, to any person obtaining a copy. The software is provided as is, without warranty of any kind. Redistribution in source and binary forms.", "License: GPL-2+. Copyright: 2004-2012 the authors. This program is free software; you can redistribute it and/or modify it under the terms of the General Public License."], "keywords": ["agreement", "arbitration", "clause", "contrat", "copyright holder", "copyright holders", "court", "governing law", "hereby", "hereinafter", "indemnify", "jurisdiction", "liability", "licensee", "licensor", "merchantability", "permission is hereby granted", "plaintiff", "privacy policy", "public license", "redistribution", "terms and conditions", "vertrag", "warranties", "warranty", "whereas"], "media_types": [], "name": "legal"}, {"description": "Invoices, receipts, orders, budgets, bank statements, taxes, prices, payments and accounts", "examples": ["Invoice number 20417. Bill to: Miller Ltd. Description, quantity, unit price, amount. Subtotal, VAT, total due. Please pay within 30 days to the bank account below.", "Account statement. Opening balance, deposits, withdrawals, fees, closing balance for the month.", "Budget for the fiscal year: revenue, expenses, costs by department, profit and loss, forecast."], "keywords": ["account number", "amount due", "balance", "bank", "budget", "facture", "iban", "invoice", "invoice number", "net total", "order number", "payable", "payment", "purchase order", "quotation", "receipt", "rechnung", "remittance", "subtotal", "tax", "total due", "unit price", "vat"], "media_types": [], "name": "finance"}, {"description": "Letters, e-mail messages and notes from one person to another, with a greeting and a closing", "examples": ["Dear Ms Brown, thank you for your letter of 3 May. I am writing to ask whether we could meet next week. I look forward to hearing from you. Yours sincerely", "From: anna@example.org To: tom@example.org Subject: Re: lunch on Friday. Hi Tom, sounds good, see you there. Cheers, Anna", "On Tuesday Peter wrote: > could you send me the file again? Sure, attached. Thanks and regards"], "keywords": ["best regards", "best wishes", "cheers", "dear", "dear sir", "hello", "hi", "kind regards", "mit freundlichen gr\u00fcssen", "regards", "reply", "sehr geehrte", "sincerely", "subject", "thank you", "thanks", "wrote", "yours"], "media_types": ["application/vnd.ms-outlook", "message/rfc822"], "name": "correspondence"}, {"description": "Reports, minutes of meetings, project plans, status updates, evaluations, summaries and recommendations", "examples": ["Annual report. Executive summary: this report presents the results of the year, key findings and recommendations of the committee for the coming period.", "Minutes of the meeting of 12 March. Present: five members. Agenda, decisions taken, action items and next steps.", "Project status report: milestones reached, risks, open issues, schedule and resources."], "keywords": ["action items", "agenda", "annual report", "attendees", "bericht", "conclusions", "executive summary", "findings", "key findings", "milestones", "minutes", "next steps", "objectives", "progress report", "project plan", "quarterly", "rapport", "recommendations", "stakeholders", "status report"], "media_types": [], "name": "report"}, {"description": "Manuals, guides, tutorials, documentation and instructions: how to install, use and configure something", "examples": ["Installation. To install the program, unpack the archive, run the configure script and then make install. See the user guide for the options of the command line.", "Getting started: this tutorial shows step by step how to use the tool. Click on Settings and choose a name. For troubleshooting see the FAQ.", "This page documents the functions of the module: parameters, return value, exceptions, an example of its usage and notes for users.", "README. This package contains the files for users who want to configure the system. Read the documentation before you start."], "keywords": ["chapter", "command line", "documentation", "example", "faq", "getting started", "guide", "how to", "howto", "install", "installation", "instructions", "manual", "readme", "reference manual", "see also", "step", "synopsis", "troubleshooting", "tutorial", "usage", "user guide", "users"], "media_types": [], "name": "manual"}, {"description": "Standards, protocols, specifications, policies, requirements and procedures that say what must be so", "examples": ["This document specifies the protocol. The key words MUST, MUST NOT, SHOULD and MAY are to be interpreted as described in RFC 2119. Conformance requirements.", "Policy: every package must comply with the standard. Requirements and procedures for maintainers, scope, definitions and responsibilities."], "keywords": ["abstract syntax", "compliance", "compliant", "conformance", "guidelines", "iso", "must not", "normative", "policy", "procedure", "protocol", "request for comments", "requirements", "rfc", "shall", "shall not", "specification", "specifications", "standard"], "media_types": [], "name": "specification"}, {"description": "Source code of programs: functions, classes, variables, imports, scripts and markup definitions", "examples": ["#include <stdio.h> static int count = 0; int main(int argc, char **argv) { for (int i = 0; i < argc; i++) printf(argv[i]); return 0; }", "import os import sys def main(args): for name in args: print(os.path.join(root, name)) if __name__ == ''__main__'': sys.exit(main(sys.argv)) class Reader(object): def __init__(self, path): self.path", "#!/bin/sh set -e if [ -f $1 ]; then echo done; fi exit 0 function setup() { local dir=$1; export PATH }", "public class Point { private final int x; public Point(int x) { this.x = x; } } const value = require(''module''); function run(callback) { return callback(null, value); }"], "keywords": ["#!/bin/sh", "#!/usr/bin", "#define", "#ifdef", "#include", "</xsl:template>", "boolean", "const", "def", "endif", "function(", "impl", "import", "int main", "namespace", "printf", "public class", "return", "self", "sizeof", "static", "struct", "typedef", "undef", "void"], "media_types": ["text/css", "text/javascript", "text/x-*"], "name": "code"}, {"description": "Configuration files and logs: settings with keys and values, paths, services, time stamps, errors", "examples": ["# Default configuration. Uncomment to change. port = 8080 host = localhost enabled = true timeout = 30 log_level = info [server] user = www-data path = /var/lib", "2024-03-02 10:15:01 INFO server started pid 4121; 10:15:07 WARNING connection refused; 10:15:09 ERROR timeout while reading from socket; kernel: usb device connected"], "keywords": ["config", "daemon", "debug", "default value", "enabled", "error", "info", "localhost", "logging", "loglevel", "option", "options", "port", "server", "stack trace", "timeout", "traceback", "true", "uncomment", "warning"], "media_types": ["application/yaml", "text/x-ini", "text/x-toml"], "name": "configuration"}, {"description": "Tables and data sets: rows and columns of numbers, records, lists of items, measurements, catalogues", "examples": ["id, name, date, value, unit. 1, north, 2021-01-04, 12.5, kg. 2, south, 2021-01-05, 13.1, kg.", "| Country | Population | Area | Density | | --- | --- | --- | Total, average, minimum, maximum by category and year |", "Sheet1: column A product, column B quantity, column C price, row totals and sums."], "keywords": ["average", "category", "cell", "code", "column", "count", "date", "id", "latitude", "longitude", "max", "min", "name", "null", "price", "qty", "quantity", "region", "row", "sum", "table", "total", "units", "value", "values"], "media_types": ["application/json", "application/vnd.ms-excel", "application/vnd.ms-excel.sheet.binary.macroenabled.12", "application/vnd.oasis.opendocument.spreadsheet", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "text/csv", "text/tab-separated-values"], "name": "data"}, {"description": "Scientific papers, theses and studies: abstract, method, experiments, results, theorems and references", "examples": ["Abstract. We propose a new method for the problem and show in experiments that it outperforms previous work. 1 Introduction. Recent studies [3, 7] et al. University, Department of Physics.", "The hypothesis was tested in a sample of 120 patients; results were statistically significant (p < 0.01). Methods, discussion, references, journal, doi.", "Theorem 2. Let f be a continuous function. Proof. By Lemma 1 the equation has a unique solution."], "keywords": ["abstract", "algorithm", "arxiv", "bibliography", "doi", "equation", "et al", "experiment", "experimental results", "hypothesis", "journal", "keywords", "lemma", "methods", "patients", "proof", "references", "related work", "results", "significant", "statistically", "theorem", "thesis", "university", "we propose", "we show"], "media_types": [], "name": "science"}, {"description": "News: articles of newspapers and agencies, press releases, announcements of events, politics and sport", "examples": ["LONDON (Reuters) - The prime minister said on Monday that the government would announce new measures after the election, a spokesman told reporters.", "Press release, for immediate release: the company announced today that its president will step down. Police said two people were hurt; the team won the final on Sunday."], "keywords": ["announced", "ceo", "election", "for immediate release", "government", "journalist", "minister", "news", "newspaper", "police", "president", "press release", "reporter", "reuters", "said", "says", "spokesman", "spokesperson", "spokeswoman", "told reporters"], "media_types": [], "name": "news"}, {"description": "Human resources: curricula vitae, job applications and adverts, work contracts, holidays and salaries", "examples": ["Curriculum vitae. Work experience: 2015-2019 software engineer. Education: master''s degree. Skills, languages, date of birth, references on request.", "We are hiring: full-time position, responsibilities, qualifications, salary and benefits; please send your application and resume. Employee, employer, holidays."], "keywords": ["applicant", "career", "curriculum vitae", "cv", "degree", "education", "employee", "employer", "employment", "experience", "hiring", "job", "lebenslauf", "position", "qualifications", "resume", "salary", "skills", "vacancy", "work experience", "years of experience"], "media_types": [], "name": "personnel"}, {"description": "Slides, advertising and marketing: short points for an audience, products, offers, customers, brochures", "examples": ["Slide 1: Outline. Slide 2: Why it matters. Slide 3: Our solution. Questions? Thank you for your attention.", "Discover our new product: exclusive offer for customers, better quality, more features, free delivery. Visit us and order now."], "keywords": ["advertising", "audience", "brand", "brochure", "business model", "campaign", "customers", "discover", "exclusive", "features", "lecture", "market", "marketing", "offer", "our customers", "our products", "our solution", "outline", "presentation", "questions", "slide", "slides", "speaker notes", "visit us"], "media_types": ["application/vnd.ms-powerpoint", "application/vnd.oasis.opendocument.presentation", "application/vnd.openxmlformats-officedocument.presentationml.presentation"], "name": "presentation"}, {"description": "Books, stories, essays, poems and other literature to be read: fiction, biography, history, religion", "examples": ["Chapter One. It was a cold evening when she walked down to the river, and he had not spoken since morning. The old house stood silent, and her mother was waiting.", "O moon, above the silent sea; the night is deep, my heart is free. Poems and tales by an author of novels."], "keywords": ["author", "biography", "book", "chapter one", "dialogue", "fiction", "he", "her", "him", "isbn", "novel", "poem", "poetry", "prologue", "publisher", "she", "story", "tale", "verse"], "media_types": ["application/epub+zip", "application/x-fictionbook+xml"], "name": "book"}, {"description": "Change logs, release notes and version histories: what was added, fixed and changed in each version", "examples": ["Version 2.4.1 released 2020-06-01. Added: new option. Fixed: crash when the file is empty. Removed: deprecated function. Changes since 2.4.0.", "package (1.2-3) unstable; urgency=low * New upstream release. * Fix build failure (Closes: #512345). -- Maintainer, Mon, 02 Mar 2009", "2017-10-15 A. N. Author <author@example.org> * src/main.c (parse): Check for overflow. * configure.ac: Bump version. 2017-10-02 * doc/index.txt: Update.", "commit 3f2a9c Author: Someone Date: Fix typo in README. Merge branch. Bump version to 1.4.2."], "keywords": ["added", "bugfix", "changelog", "changes", "closes", "deprecated", "fix", "fixed", "fixes", "new upstream release", "release notes", "released", "removed", "updated", "upgrade", "urgency", "version", "what''s new"], "media_types": [], "name": "changelog"}, {"description": "What fits none of these", "examples": [], "keywords": [], "media_types": [], "name": "other"}]}');
INSERT INTO config VALUES(5,4,X'723C3AF8A5873AD4B823FB705F334A14','{"generation": 1}');
CREATE TABLE counter(
    branch INTEGER NOT NULL,
    lineage INTEGER NOT NULL,
    status INTEGER NOT NULL,
    n INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    tokens INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(branch, lineage, status)
) WITHOUT ROWID;
INSERT INTO counter VALUES(1,0,1,6,265,0);
INSERT INTO counter VALUES(1,0,2,1,26,0);
INSERT INTO counter VALUES(1,2,1,4,250,0);
INSERT INTO counter VALUES(1,2,2,1,15,0);
INSERT INTO counter VALUES(1,2,4,1,0,0);
INSERT INTO counter VALUES(1,3,1,4,250,28);
INSERT INTO counter VALUES(1,4,1,4,250,0);
INSERT INTO counter VALUES(1,5,1,4,250,0);
CREATE TABLE document(
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL,
    parent INTEGER NOT NULL DEFAULT 0,
    uid BLOB NOT NULL,
    UNIQUE(path, parent)
);
INSERT INTO document VALUES(1,X'62726F6B656E2E706466',0,X'FBA1D8E6AD5C6191');
INSERT INTO document VALUES(2,X'656D7074792E747874',0,X'FF678C8EE49F5178');
INSERT INTO document VALUES(3,X'67756964652E6D64',0,X'0801F575037A6673');
INSERT INTO document VALUES(4,X'6E6F7465732E747874',0,X'A859C1198D69E635');
INSERT INTO document VALUES(5,X'7061636B2E7A6970',0,X'99E05CA2CD00D8A6');
INSERT INTO document VALUES(6,X'7061636B2E7A6970212F696E6E65722E747874',5,X'32D67748907B2346');
CREATE INDEX document_inside ON document(parent) WHERE parent > 0;
CREATE TABLE export(
    id INTEGER PRIMARY KEY,
    dir TEXT NOT NULL,
    branch INTEGER NOT NULL,
    lineages TEXT NOT NULL,
    seq INTEGER NOT NULL,
    scan INTEGER NOT NULL,
    documents INTEGER NOT NULL,
    manifest BLOB NOT NULL,
    time REAL NOT NULL
);
INSERT INTO export VALUES(1,'/workspace/export',1,'{"chunk": 3, "classify": 4, "clean": 2, "index": 5, "input": 1}',18,1,6,X'AC9116270D178C2461EFEC2A63BD8F44A5E3AEF60818C44647CF29F498194684',1795972081.0956666);
CREATE TABLE failure(
    seq INTEGER PRIMARY KEY REFERENCES result,
    cause TEXT NOT NULL,
    message TEXT NOT NULL,
    time REAL NOT NULL
);
INSERT INTO failure VALUES(4,'no text','The file is empty (0 bytes).',1795972080.43536);
INSERT INTO failure VALUES(15,'corrupt','The PDF is damaged: it cannot be opened.',1795972080.5227916);
CREATE TABLE head(
    one INTEGER PRIMARY KEY CHECK(one = 1),
    branch INTEGER NOT NULL REFERENCES branch,
    scan INTEGER NOT NULL,
    checkpoint INTEGER NOT NULL,
    lineages TEXT NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0
);
INSERT INTO head VALUES(1,1,1,6,'{"input": 1, "clean": 2, "chunk": 3, "classify": 4, "index": 5}',6);
CREATE TABLE indexed(artifact INTEGER PRIMARY KEY);
INSERT INTO "indexed" VALUES(2);
INSERT INTO "indexed" VALUES(5);
INSERT INTO "indexed" VALUES(8);
INSERT INTO "indexed" VALUES(11);
CREATE TABLE ledger(
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    version INTEGER,
    artifact_key BLOB,
    model TEXT NOT NULL,
    state TEXT NOT NULL CHECK(state IN ('reserved', 'sent', 'settled', 'released')),
    tokens_in INTEGER NOT NULL DEFAULT 0,
    tokens_out INTEGER NOT NULL DEFAULT 0,
    cost_nano_usd INTEGER NOT NULL DEFAULT 0,
    time REAL NOT NULL
);
CREATE TABLE lineage(
    id INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    config INTEGER NOT NULL REFERENCES config,
    UNIQUE(parent, phase, config)
);
INSERT INTO lineage VALUES(1,0,0,1);
INSERT INTO lineage VALUES(2,0,1,2);
INSERT INTO lineage VALUES(3,2,2,3);
INSERT INTO lineage VALUES(4,3,3,4);
INSERT INTO lineage VALUES(5,4,4,5);
CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;
INSERT INTO meta VALUES('created',1795972074.8447857);
INSERT INTO meta VALUES('index_generation',1);
INSERT INTO meta VALUES('sandbox','complete: limits, own account, no network, no writing, system calls filtered');
INSERT INTO meta VALUES('schema',2);
INSERT INTO meta VALUES('source',X'2F736F75726365');
CREATE TABLE reflog(
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    branch_before INTEGER NOT NULL,
    branch_after INTEGER NOT NULL,
    why TEXT NOT NULL
);
CREATE TABLE result(
    seq INTEGER PRIMARY KEY,
    branch INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    lineage INTEGER NOT NULL,
    version INTEGER NOT NULL,
    status INTEGER NOT NULL,
    artifact INTEGER,
    attempt INTEGER NOT NULL
);
INSERT INTO result VALUES(1,1,1,2,5,1,1,1);
INSERT INTO result VALUES(2,1,2,3,5,1,2,1);
INSERT INTO result VALUES(3,1,3,4,5,1,3,1);
INSERT INTO result VALUES(4,1,1,2,2,4,NULL,1);
INSERT INTO result VALUES(5,1,1,2,3,1,4,1);
INSERT INTO result VALUES(6,1,2,3,3,1,5,1);
INSERT INTO result VALUES(7,1,3,4,3,1,6,1);
INSERT INTO result VALUES(8,1,1,2,4,1,7,1);
INSERT INTO result VALUES(9,1,2,3,4,1,8,1);
INSERT INTO result VALUES(10,1,3,4,4,1,9,1);
INSERT INTO result VALUES(11,1,1,2,6,1,10,1);
INSERT INTO result VALUES(12,1,2,3,6,1,11,1);
INSERT INTO result VALUES(13,1,3,4,6,1,12,1);
INSERT INTO result VALUES(14,1,4,5,5,1,NULL,1);
INSERT INTO result VALUES(15,1,1,2,1,2,NULL,1);
INSERT INTO result VALUES(16,1,4,5,3,1,NULL,1);
INSERT INTO result VALUES(17,1,4,5,4,1,NULL,1);
INSERT INTO result VALUES(18,1,4,5,6,1,NULL,1);
CREATE INDEX result_bad ON result(lineage, version) WHERE status > 1;
CREATE INDEX result_chunks ON result(artifact) WHERE phase = 2 AND artifact IS NOT NULL;
CREATE INDEX result_latest ON result(lineage, version);
CREATE TABLE run(
    id INTEGER PRIMARY KEY,
    started REAL NOT NULL,
    ended REAL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    settings TEXT NOT NULL,
    state TEXT NOT NULL
);
INSERT INTO run VALUES(1,1795972074.997481,1795972081.1217308,3280,'host','{"input":{"include":[],"exclude":[],"gitignore":false,"max_file_size":100000000,"archives":true,"follow_symlinks":false},"clean":{"max_chars":10000000,"max_pdf_pages":2000,"max_html_depth":512,"ocr":"auto","ocr_languages":"eng","timeout_s":60.0,"cpu_s":30,"worker_memory":2000000000},"chunk":{"max_tokens":512,"overlap":64,"tokenizer":"o200k"},"classify":{"backend":"local","labels":[],"multi_label":false,"digest_tokens":112},"output":{"formats":["jsonl"],"dir":""},"engine":{"workers":0,"checkpoint_every_docs":100,"checkpoint_every_s":10.0,"memory_limit":1000000000},"ui":{"theme":"dark","refresh_hz":4.0}}','complete');
CREATE TABLE scan(
    id INTEGER PRIMARY KEY,
    started REAL NOT NULL,
    ended REAL,
    ignored TEXT NOT NULL DEFAULT '{}',
    changes INTEGER NOT NULL DEFAULT 0
);
INSERT INTO scan VALUES(1,1795972075.0228949,1795972075.0400617,'{}',6);
CREATE TABLE version(
    id INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES document,
    scan_from INTEGER NOT NULL,
    scan_to INTEGER,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    content BLOB,
    media_type TEXT
);
INSERT INTO version VALUES(1,1,1,NULL,15,1700000000000000000,X'22FEF72D13F940249B26AD6E04F9D4EE','application/pdf');
INSERT INTO version VALUES(2,2,1,NULL,0,1700000000000000000,X'AF1349B9F5F9A1A6A0404DEA36DCC949','');
INSERT INTO version VALUES(3,3,1,NULL,35,1700000000000000000,X'5EDF5EAD5E6F24DBA0A312C0AD059CFF','text/markdown');
INSERT INTO version VALUES(4,4,1,NULL,47,1700000000000000000,X'02633A9BDE2297F28D65A7FD0BC1EEBB','text/plain');
INSERT INTO version VALUES(5,5,1,NULL,142,1700000000000000000,X'91DF913CDFA5D29DDD3C433822419955','application/zip');
INSERT INTO version VALUES(6,6,1,NULL,26,1714979290000000000,X'F644F05803C4FCEE1BBA0F6C8585FAC5','text/plain');
CREATE UNIQUE INDEX version_live ON version(document) WHERE scan_to IS NULL;
COMMIT TRANSACTION;
