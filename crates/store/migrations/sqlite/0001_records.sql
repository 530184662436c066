-- All that judges calls, and who may change it, is a document: see src/document.rs.
CREATE TABLE tg_documents (
    kind       TEXT    NOT NULL,
    id         TEXT    NOT NULL,
    version    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    alias      TEXT,
    owner      TEXT,
    partner    TEXT,
    body       TEXT    NOT NULL,
    PRIMARY KEY (kind, id),
    UNIQUE (kind, alias)
) STRICT;
CREATE INDEX tg_documents_owner ON tg_documents (owner, kind, id) WHERE owner IS NOT NULL;
CREATE INDEX tg_documents_partner ON tg_documents (partner, kind, id) WHERE partner IS NOT NULL;

CREATE TABLE tg_policies (
    name       TEXT    NOT NULL PRIMARY KEY,
    version    INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    latest     INTEGER NOT NULL,
    active     INTEGER
) STRICT;

CREATE TABLE tg_policy_versions (
    name       TEXT    NOT NULL REFERENCES tg_policies (name) ON DELETE CASCADE,
    number     INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    hash       TEXT    NOT NULL,
    author     TEXT    NOT NULL,
    note       TEXT    NOT NULL,
    text       TEXT    NOT NULL,
    catalogue  TEXT,
    PRIMARY KEY (name, number)
) STRICT;

CREATE TABLE tg_sessions (
    hash       TEXT    NOT NULL PRIMARY KEY,
    admin      TEXT    NOT NULL,
    csrf       TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX tg_sessions_admin ON tg_sessions (admin);
CREATE INDEX tg_sessions_expires ON tg_sessions (expires_ms);

CREATE TABLE tg_login_links (
    hash       TEXT    NOT NULL PRIMARY KEY,
    admin      TEXT    NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX tg_login_links_expires ON tg_login_links (expires_ms);

CREATE TABLE tg_idempotency (
    who        TEXT    NOT NULL,
    key        TEXT    NOT NULL,
    request    TEXT    NOT NULL,
    created_ms INTEGER NOT NULL,
    status     INTEGER,
    body       TEXT,
    PRIMARY KEY (who, key)
) STRICT;
CREATE INDEX tg_idempotency_created ON tg_idempotency (created_ms);

CREATE TABLE tg_audit (
    node       TEXT    NOT NULL,
    seq        INTEGER NOT NULL,
    segment    INTEGER NOT NULL,
    time_ms    INTEGER NOT NULL,
    kind       TEXT    NOT NULL,
    agent      TEXT,
    server     TEXT,
    method     TEXT,
    subject    TEXT,
    outcome    TEXT,
    code       TEXT,
    rule       TEXT,
    policy     TEXT,
    latency_us INTEGER,
    line       TEXT    NOT NULL,
    PRIMARY KEY (node, seq)
) STRICT;
CREATE INDEX tg_audit_time ON tg_audit (time_ms, node, seq);
CREATE INDEX tg_audit_agent ON tg_audit (agent, time_ms, node, seq);
CREATE INDEX tg_audit_server ON tg_audit (server, time_ms, node, seq);

-- How far each node's journal has come. Records go when they are old; this stays.
CREATE TABLE tg_audit_nodes (
    node TEXT NOT NULL PRIMARY KEY,
    seq  INTEGER NOT NULL
) STRICT;
