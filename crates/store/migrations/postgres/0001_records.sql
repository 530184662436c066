-- All that judges calls, and who may change it, is a document: see src/document.rs.
CREATE TABLE tg_documents (
    kind       TEXT COLLATE "C" NOT NULL,
    id         TEXT COLLATE "C" NOT NULL,
    version    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    alias      TEXT COLLATE "C",
    owner      TEXT COLLATE "C",
    partner    TEXT COLLATE "C",
    body       TEXT NOT NULL,
    PRIMARY KEY (kind, id),
    UNIQUE (kind, alias)
);
CREATE INDEX tg_documents_owner ON tg_documents (owner, kind, id) WHERE owner IS NOT NULL;
CREATE INDEX tg_documents_partner ON tg_documents (partner, kind, id) WHERE partner IS NOT NULL;

CREATE TABLE tg_policies (
    name       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    version    BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    updated_ms BIGINT NOT NULL,
    latest     BIGINT NOT NULL,
    active     BIGINT
);

CREATE TABLE tg_policy_versions (
    name       TEXT COLLATE "C" NOT NULL REFERENCES tg_policies (name) ON DELETE CASCADE,
    number     BIGINT NOT NULL,
    created_ms BIGINT NOT NULL,
    hash       TEXT COLLATE "C" NOT NULL,
    author     TEXT COLLATE "C" NOT NULL,
    note       TEXT NOT NULL,
    text       TEXT NOT NULL,
    catalogue  TEXT,
    PRIMARY KEY (name, number)
);

CREATE TABLE tg_sessions (
    hash       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    admin      TEXT COLLATE "C" NOT NULL,
    csrf       TEXT NOT NULL,
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX tg_sessions_admin ON tg_sessions (admin);
CREATE INDEX tg_sessions_expires ON tg_sessions (expires_ms);

CREATE TABLE tg_login_links (
    hash       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    admin      TEXT COLLATE "C" NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX tg_login_links_expires ON tg_login_links (expires_ms);

CREATE TABLE tg_idempotency (
    who        TEXT COLLATE "C" NOT NULL,
    key        TEXT COLLATE "C" NOT NULL,
    request    TEXT COLLATE "C" NOT NULL,
    created_ms BIGINT NOT NULL,
    status     BIGINT,
    body       TEXT,
    PRIMARY KEY (who, key)
);
CREATE INDEX tg_idempotency_created ON tg_idempotency (created_ms);

CREATE TABLE tg_audit (
    node       TEXT COLLATE "C" NOT NULL,
    seq        BIGINT NOT NULL,
    segment    BIGINT NOT NULL,
    time_ms    BIGINT NOT NULL,
    kind       TEXT COLLATE "C" NOT NULL,
    agent      TEXT COLLATE "C",
    server     TEXT COLLATE "C",
    method     TEXT COLLATE "C",
    subject    TEXT COLLATE "C",
    outcome    TEXT COLLATE "C",
    code       TEXT COLLATE "C",
    rule       TEXT COLLATE "C",
    policy     TEXT COLLATE "C",
    latency_us BIGINT,
    line       TEXT NOT NULL,
    PRIMARY KEY (node, seq)
);
CREATE INDEX tg_audit_time ON tg_audit (time_ms, node, seq);
CREATE INDEX tg_audit_agent ON tg_audit (agent, time_ms, node, seq);
CREATE INDEX tg_audit_server ON tg_audit (server, time_ms, node, seq);

-- How far each node's journal has come. Records go when they are old; this stays.
CREATE TABLE tg_audit_nodes (
    node TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL
);
