-- The first schema. Keys are BLOB so that they sort as bytes; times are milliseconds since
-- 1970, UTC. Sequences are never drawn from a clock: 23 bits of the owner's number, then a
-- counter.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;

-- One row for each process that opened this database; the last one is the one that runs.
CREATE TABLE owner (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    started   INTEGER NOT NULL,
    heartbeat INTEGER NOT NULL
);

CREATE TABLE bucket (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    name       TEXT NOT NULL UNIQUE,
    owner      TEXT NOT NULL,
    location   TEXT NOT NULL,
    versioning INTEGER NOT NULL DEFAULT 0, -- 0 off, 1 enabled, 2 suspended
    created    INTEGER NOT NULL
);
CREATE INDEX bucket_by_owner ON bucket (owner, name);

CREATE TABLE location (
    name   TEXT PRIMARY KEY,
    target TEXT NOT NULL
) WITHOUT ROWID;

-- Who writes plain places below which namespace; the lowest id came first.
CREATE TABLE namespace (
    id        INTEGER PRIMARY KEY AUTOINCREMENT,
    bucket    TEXT NOT NULL,
    location  TEXT NOT NULL,
    namespace TEXT NOT NULL,
    UNIQUE (bucket, location, namespace)
);

-- Current and live: all that a listing line shows, so that listing needs no join and
-- delete markers cost it nothing.
CREATE TABLE object (
    bucket        INTEGER NOT NULL,
    key           BLOB NOT NULL,
    sequence      INTEGER NOT NULL,
    id            TEXT NOT NULL,
    etag          TEXT NOT NULL,
    size          INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    owner         TEXT NOT NULL,
    storage_class TEXT NOT NULL,
    checksums     TEXT NOT NULL, -- JSON
    PRIMARY KEY (bucket, key)
) WITHOUT ROWID;

CREATE TABLE version (
    bucket        INTEGER NOT NULL,
    key           BLOB NOT NULL,
    sequence      INTEGER NOT NULL, -- assigned at commit, greater is newer
    id            TEXT NOT NULL,    -- 'null' for the null version
    is_marker     INTEGER NOT NULL,
    etag          TEXT NOT NULL,
    size          INTEGER NOT NULL,
    last_modified INTEGER NOT NULL,
    owner         TEXT NOT NULL,
    storage_class TEXT NOT NULL,
    checksums     TEXT NOT NULL,    -- JSON
    object        TEXT NOT NULL,    -- JSON: content headers, user metadata, tags
    parts         TEXT NOT NULL,    -- JSON: part boundaries
    first_segment INTEGER NOT NULL, -- its segments have consecutive ids from here
    segments      INTEGER NOT NULL, -- and are so many
    PRIMARY KEY (bucket, key, sequence DESC)
) WITHOUT ROWID;
-- Also says that a key has one null version.
CREATE UNIQUE INDEX version_by_id ON version (bucket, key, id);

CREATE TABLE segment (
    id          INTEGER PRIMARY KEY,
    bucket      INTEGER NOT NULL, -- with key and sequence: the version
    key         BLOB NOT NULL,
    sequence    INTEGER NOT NULL,
    location    TEXT NOT NULL,
    place       TEXT,             -- token of a derived place; NULL: the plain one
    elsewhere   TEXT,             -- JSON: the whole name when it is not of this bucket and key
    write_id    TEXT NOT NULL,
    locator     BLOB NOT NULL,
    stored_size INTEGER NOT NULL,
    start       INTEGER NOT NULL,
    length      INTEGER NOT NULL,
    envelope    BLOB              -- for encryption
);
CREATE INDEX segment_by_locator ON segment (location, locator);

CREATE TABLE write_intent (
    id         TEXT PRIMARY KEY,
    owner      INTEGER NOT NULL, -- 0 when left to the sweeper
    bucket     INTEGER NOT NULL,
    key        BLOB NOT NULL,
    location   TEXT NOT NULL,
    name       TEXT NOT NULL,    -- JSON: where its bytes go
    holds      INTEGER NOT NULL, -- 1: it alone may write the plain place of bucket and key
    kind       TEXT NOT NULL,    -- JSON
    prepared   TEXT,             -- JSON: the version, once that is known
    started    INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX write_intent_by_key ON write_intent (bucket, key);

CREATE TABLE upload (
    id        TEXT PRIMARY KEY,
    bucket    INTEGER NOT NULL,
    key       BLOB NOT NULL,
    initiated INTEGER NOT NULL,
    write_id  TEXT NOT NULL,
    location  TEXT NOT NULL,
    token     BLOB,             -- of the backend's upload
    kept      INTEGER NOT NULL,
    detail    TEXT NOT NULL     -- JSON
) WITHOUT ROWID;
CREATE UNIQUE INDEX upload_by_key ON upload (bucket, key, initiated, id);
CREATE INDEX upload_by_write ON upload (write_id);
CREATE INDEX upload_to_keep ON upload (kept) WHERE token IS NOT NULL;

CREATE TABLE part (
    upload   TEXT NOT NULL,
    number   INTEGER NOT NULL,
    location TEXT, -- with the locator: when the part is an object of its own
    locator  BLOB,
    detail   TEXT NOT NULL, -- JSON
    PRIMARY KEY (upload, number)
) WITHOUT ROWID;
CREATE INDEX part_by_locator ON part (location, locator) WHERE locator IS NOT NULL;

CREATE TABLE job (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    kind       INTEGER NOT NULL, -- 0 delete, 1 abort, 2 tags
    location   TEXT NOT NULL,
    locator    BLOB,             -- of the bytes, or the upload's token
    bucket     TEXT,             -- by name: a job outlives its bucket
    key        BLOB,
    version_id TEXT,
    is_plain   INTEGER NOT NULL DEFAULT 0, -- the bytes are at the plain place of bucket and key
    owner      INTEGER NOT NULL DEFAULT 0, -- who runs it; 0 when it waits
    attempts   INTEGER NOT NULL DEFAULT 0,
    created    INTEGER NOT NULL,
    due        INTEGER NOT NULL,
    error      TEXT
);
CREATE INDEX job_by_due ON job (owner, due);
CREATE INDEX job_by_locator ON job (location, locator) WHERE kind = 0;
CREATE INDEX job_by_place ON job (bucket, key) WHERE is_plain = 1;
