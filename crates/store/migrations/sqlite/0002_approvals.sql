-- Calls that wait for a person: see src/approval.rs. A row is live while it is what equal calls are answered with: one for a binding.
CREATE TABLE tg_approvals (
    id         TEXT    NOT NULL PRIMARY KEY,
    binding    TEXT    NOT NULL,
    agent      TEXT    NOT NULL,
    server     TEXT    NOT NULL,
    state      TEXT    NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'used')),
    live       INTEGER NOT NULL CHECK (live = 1 AND state <> 'used' OR live = 0 AND state NOT IN ('pending', 'approved')),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    decided_ms INTEGER,
    used_ms    INTEGER,
    asks       INTEGER NOT NULL,
    round      INTEGER NOT NULL,
    asked      TEXT    NOT NULL,
    votes      TEXT    NOT NULL
) STRICT;
CREATE UNIQUE INDEX tg_approvals_live ON tg_approvals (binding) WHERE live = 1;
CREATE INDEX tg_approvals_pending_agent ON tg_approvals (agent) WHERE state = 'pending';
CREATE INDEX tg_approvals_pending_server ON tg_approvals (server) WHERE state = 'pending';
CREATE INDEX tg_approvals_agent ON tg_approvals (agent, created_ms, id);
CREATE INDEX tg_approvals_server ON tg_approvals (server, created_ms, id);
CREATE INDEX tg_approvals_state ON tg_approvals (state, created_ms, id);
CREATE INDEX tg_approvals_time ON tg_approvals (created_ms, id);
CREATE INDEX tg_approvals_expires ON tg_approvals (expires_ms);

-- What may pass some times without being asked for, made by an approver.
CREATE TABLE tg_approval_grants (
    id         TEXT    NOT NULL PRIMARY KEY,
    agent      TEXT    NOT NULL,
    server     TEXT    NOT NULL,
    method     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    scope      TEXT    NOT NULL,
    definition TEXT,
    policy     TEXT    NOT NULL,
    max_uses   INTEGER NOT NULL,
    used       INTEGER NOT NULL CHECK (used <= max_uses),
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    revoked_ms INTEGER,
    made_by    TEXT    NOT NULL,
    approval   TEXT    NOT NULL
) STRICT;
CREATE INDEX tg_approval_grants_agent ON tg_approval_grants (agent, server);
CREATE INDEX tg_approval_grants_time ON tg_approval_grants (created_ms, id);

-- Who is still to be told of a new one.
CREATE TABLE tg_approval_notices (
    approval TEXT    NOT NULL REFERENCES tg_approvals (id) ON DELETE CASCADE,
    target   TEXT    NOT NULL,
    due_ms   INTEGER NOT NULL,
    attempt  INTEGER NOT NULL,
    error    TEXT,
    PRIMARY KEY (approval, target)
) STRICT;
CREATE INDEX tg_approval_notices_due ON tg_approval_notices (target, due_ms);

CREATE TABLE tg_approval_links (
    hash       TEXT    NOT NULL PRIMARY KEY,
    approval   TEXT    NOT NULL REFERENCES tg_approvals (id) ON DELETE CASCADE,
    admin      TEXT    NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX tg_approval_links_approval ON tg_approval_links (approval);
CREATE INDEX tg_approval_links_admin ON tg_approval_links (admin);
