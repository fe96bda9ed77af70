-- state.db. Payloads live in blob.db: (id INTEGER PRIMARY KEY, data BLOB), immutable.
-- Phases are 0..5 in pipeline order; statuses 0 pending, 1 done, 2 failed, 3 skipped, 4 empty.

CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;

-- What the settings of a phase were, and the version of its code (0: not recorded, before schema 3).
CREATE TABLE config(
    id INTEGER PRIMARY KEY,
    phase INTEGER NOT NULL,
    hash BLOB NOT NULL,
    json TEXT NOT NULL,
    version INTEGER NOT NULL DEFAULT 0,
    UNIQUE(phase, hash)
);

-- "This phase with these settings, on top of that": a hash chain, as in git. 0 is no parent.
CREATE TABLE lineage(
    id INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    config INTEGER NOT NULL REFERENCES config,
    UNIQUE(parent, phase, config)
);

-- One row per pass over the source folder, or per part of one: a scan that a checkpoint has seen is sealed,
-- and what is found after that belongs to another. `ignored` is JSON: reason -> entries.
CREATE TABLE scan(
    id INTEGER PRIMARY KEY,
    started REAL NOT NULL,
    ended REAL,
    ignored TEXT NOT NULL DEFAULT '{}',
    changes INTEGER NOT NULL DEFAULT 0,
    sealed INTEGER NOT NULL DEFAULT 0
);

-- `path` is relative to the source folder, with '/', as the bytes the file system gave. That of a member
-- of a container is the path of the container, '!/' and its name there; `parent` is the container then.
-- `uid` is 8 bytes of BLAKE3 of the path and its parents': the exported id, and the order of samples.
CREATE TABLE document(
    id INTEGER PRIMARY KEY,
    path BLOB NOT NULL,
    parent INTEGER NOT NULL DEFAULT 0,
    uid BLOB NOT NULL,
    UNIQUE(path, parent)
);
CREATE INDEX document_inside ON document(parent) WHERE parent > 0;

-- One row per distinct content of a document, valid for the scans [scan_from, scan_to).
-- `content` is NULL until a worker has read the file. `ctime_ns` is when the file system last changed
-- anything about the file, which no program can set; NULL for members, and where an older schema kept none.
CREATE TABLE version(
    id INTEGER PRIMARY KEY,
    document INTEGER NOT NULL REFERENCES document,
    scan_from INTEGER NOT NULL,
    scan_to INTEGER,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    content BLOB,
    media_type TEXT,
    ctime_ns INTEGER
);
CREATE UNIQUE INDEX version_live ON version(document) WHERE scan_to IS NULL;
CREATE INDEX version_document ON version(document);
CREATE INDEX version_moved ON version(mtime_ns, size_bytes) WHERE content IS NOT NULL;

-- Immutable results, shared by all branches; a rollback never deletes one.
-- key = H(phase, phase version, config, input); output = hash of the payload before compression.
-- `data` holds what is too small for a payload (labels, the members of a container) as MessagePack, `data_sum`
-- 8 bytes of its BLAKE3; `amount` is the characters of a clean text, the tokens of its chunks, or those paid for a label.
-- Damage that was found takes `blob` or `data` away; the same key made again gives it back.
CREATE TABLE artifact(
    id INTEGER PRIMARY KEY,
    key BLOB NOT NULL UNIQUE,
    phase INTEGER NOT NULL,
    output BLOB NOT NULL,
    blob INTEGER,
    data BLOB,
    amount INTEGER NOT NULL DEFAULT 0,
    created REAL NOT NULL,
    data_sum BLOB,
    cost_nano_usd INTEGER NOT NULL DEFAULT 0
);

-- What a version reached on a lineage. Append-only, numbered by commit order; the latest one that
-- the head can see counts. A pending row takes an earlier one back (retry).
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
CREATE INDEX result_latest ON result(lineage, version);
CREATE INDEX result_bad ON result(lineage, version) WHERE status > 1;
CREATE INDEX result_chunks ON result(artifact) WHERE phase = 2 AND artifact IS NOT NULL;

-- Why the result with that seq is not done.
CREATE TABLE failure(
    seq INTEGER PRIMARY KEY REFERENCES result,
    cause TEXT NOT NULL,
    message TEXT NOT NULL,
    time REAL NOT NULL
);
CREATE INDEX failure_cause ON failure(cause);

-- Live counts of the head of each branch, kept in the transaction that changes them. `cause` is '' for what is
-- done. Lineage 0 counts the documents found. `tokens` is the o200k tokens of chunks, and what labels took.
CREATE TABLE counter(
    branch INTEGER NOT NULL,
    lineage INTEGER NOT NULL,
    status INTEGER NOT NULL,
    cause TEXT NOT NULL DEFAULT '',
    n INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    tokens INTEGER NOT NULL DEFAULT 0,
    cost_nano_usd INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(branch, lineage, status, cause)
) WITHOUT ROWID;

-- A branch begins at a rollback: it sees its parent's results up to fork_seq, of phases up to `kept`.
-- `began` is the newest result of all when it began: as long as there is no newer one, it has none of its own.
CREATE TABLE branch(
    id INTEGER PRIMARY KEY,
    parent INTEGER NOT NULL,
    fork_seq INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    began INTEGER NOT NULL DEFAULT -1
);

-- Every call to a model. What it can take and cost at most is written before it is sent ('sent'), and what it
-- has cost when it is answered ('settled'). 'released': not billed. 'lost': no answer will come, so the most stays
-- counted. `kind` is label, audit, canary or embed. Money in nano-dollars; cached tokens are among those in.
CREATE TABLE ledger(
    id INTEGER PRIMARY KEY,
    run INTEGER NOT NULL,
    kind TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    state TEXT NOT NULL CHECK(state IN ('sent', 'settled', 'released', 'lost')),
    tokens_in INTEGER NOT NULL DEFAULT 0,
    tokens_cached INTEGER NOT NULL DEFAULT 0,
    tokens_out INTEGER NOT NULL DEFAULT 0,
    cost_nano_usd INTEGER NOT NULL DEFAULT 0,
    reason TEXT NOT NULL DEFAULT '',
    time REAL NOT NULL,
    ended REAL
);
CREATE INDEX ledger_open ON ledger(state) WHERE state IN ('sent', 'lost');

-- The artifacts that a call was made for. `state`: 0 no answer, 1 saved, 2 answered, but not usable.
CREATE TABLE ledger_key(
    call INTEGER NOT NULL REFERENCES ledger,
    key BLOB NOT NULL,
    state INTEGER NOT NULL,
    PRIMARY KEY(call, key)
) WITHOUT ROWID;

-- The sums of the ledger, kept in its transactions. `open_…` are those of calls without an answer, at their most;
-- `unsaved_tokens` were paid and nothing came of them, less those of which something did.
CREATE TABLE spending(
    one INTEGER PRIMARY KEY CHECK(one = 1),
    calls INTEGER NOT NULL DEFAULT 0,
    tokens_in INTEGER NOT NULL DEFAULT 0,
    tokens_cached INTEGER NOT NULL DEFAULT 0,
    tokens_out INTEGER NOT NULL DEFAULT 0,
    cost_nano_usd INTEGER NOT NULL DEFAULT 0,
    open_tokens INTEGER NOT NULL DEFAULT 0,
    open_nano_usd INTEGER NOT NULL DEFAULT 0,
    unsaved_tokens INTEGER NOT NULL DEFAULT 0
);

-- How an endpoint wants to be asked for a model, as JSON: what was found out when it was tried.
CREATE TABLE profile(
    endpoint TEXT NOT NULL,
    model TEXT NOT NULL,
    json TEXT NOT NULL,
    time REAL NOT NULL,
    PRIMARY KEY(endpoint, model)
) WITHOUT ROWID;

-- What near-duplicates are found by: a MinHash of the text of each digest that a label was wanted for.
CREATE TABLE signature(digest BLOB PRIMARY KEY, minhash BLOB NOT NULL) WITHOUT ROWID;

CREATE TABLE run(
    id INTEGER PRIMARY KEY,
    started REAL NOT NULL,
    ended REAL,
    pid INTEGER NOT NULL,
    host TEXT NOT NULL,
    settings TEXT NOT NULL,
    state TEXT NOT NULL
);

-- `lineages` is JSON: phase -> lineage. `counters` is JSON: the rows of `counter` at that moment, without their
-- branch; NULL where they are not known to hold (made while a scan went on, before schema 3): counted anew then.
-- `run` is the run whose settings are in force.
CREATE TABLE checkpoint(
    id INTEGER PRIMARY KEY,
    parent INTEGER REFERENCES checkpoint,
    run INTEGER NOT NULL,
    branch INTEGER NOT NULL,
    scan INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    phase INTEGER NOT NULL,
    why TEXT NOT NULL DEFAULT '',
    lineages TEXT NOT NULL,
    counters TEXT,
    tokens INTEGER NOT NULL,
    cost_nano_usd INTEGER NOT NULL,
    name TEXT,
    note TEXT,
    time REAL NOT NULL
);

-- `run` is the run whose settings are in force; `pinned`: they stay so since a rollback, whatever the file says.
-- `arrived` is the newest result of all when the head was moved here: what is newer was made here.
CREATE TABLE head(
    one INTEGER PRIMARY KEY CHECK(one = 1),
    branch INTEGER NOT NULL REFERENCES branch,
    scan INTEGER NOT NULL,
    checkpoint INTEGER NOT NULL,
    lineages TEXT NOT NULL,
    settled INTEGER NOT NULL DEFAULT 0,
    run INTEGER NOT NULL DEFAULT 0,
    pinned INTEGER NOT NULL DEFAULT 0,
    arrived INTEGER NOT NULL DEFAULT 0
);

-- Every move of the head. `before` and `after` are JSON: the head's columns, so that a move can be taken back.
CREATE TABLE reflog(
    id INTEGER PRIMARY KEY,
    time REAL NOT NULL,
    before TEXT NOT NULL,
    after TEXT NOT NULL,
    why TEXT NOT NULL
);

-- Vectors of passages, by the hash of what a model was shown of them: in which payload, and the how manieth there.
CREATE TABLE vector(key BLOB PRIMARY KEY, blob INTEGER NOT NULL, place INTEGER NOT NULL) WITHOUT ROWID;

-- Why the result with that seq, although done, has not all the vectors that were wanted.
CREATE TABLE unembedded(seq INTEGER PRIMARY KEY REFERENCES result, reason TEXT NOT NULL);

-- Labels that a person has given to a content, numbered in the order they were given. `data` is MessagePack, as
-- of an artifact; NULL: it was taken away again. They hold in all branches and with all settings.
CREATE TABLE human(
    number INTEGER PRIMARY KEY,
    content BLOB NOT NULL UNIQUE,
    data BLOB,
    time REAL NOT NULL
);

-- Chunk artifacts that a committed full-text index holds.
CREATE TABLE indexed(artifact INTEGER PRIMARY KEY);

-- Finished exports: what they hold (branch, lineages, last seq and scan) and their manifest's hash.
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
