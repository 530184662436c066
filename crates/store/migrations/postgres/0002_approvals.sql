-- Calls that wait for a person: see src/approval.rs. A row is live while it is what equal calls are answered with: one for a binding.
CREATE TABLE tg_approvals (
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    binding    TEXT COLLATE "C" NOT NULL,
    agent      TEXT COLLATE "C" NOT NULL,
    server     TEXT COLLATE "C" NOT NULL,
    state      TEXT COLLATE "C" NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'expired', 'used')),
    live       BIGINT NOT NULL CHECK (live = 1 AND state <> 'used' OR live = 0 AND state NOT IN ('pending', 'approved')),
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    decided_ms BIGINT,
    used_ms    BIGINT,
    asks       BIGINT NOT NULL,
    round      BIGINT NOT NULL,
    asked      TEXT NOT NULL,
    votes      TEXT NOT NULL
);
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
    id         TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    agent      TEXT COLLATE "C" NOT NULL,
    server     TEXT COLLATE "C" NOT NULL,
    method     TEXT COLLATE "C" NOT NULL,
    subject    TEXT COLLATE "C" NOT NULL,
    scope      TEXT NOT NULL,
    definition TEXT COLLATE "C",
    policy     TEXT COLLATE "C" NOT NULL,
    max_uses   BIGINT NOT NULL,
    used       BIGINT NOT NULL CHECK (used <= max_uses),
    created_ms BIGINT NOT NULL,
    expires_ms BIGINT NOT NULL,
    revoked_ms BIGINT,
    made_by    TEXT COLLATE "C" NOT NULL,
    approval   TEXT COLLATE "C" NOT NULL
);
CREATE INDEX tg_approval_grants_agent ON tg_approval_grants (agent, server);
CREATE INDEX tg_approval_grants_time ON tg_approval_grants (created_ms, id);

-- Who is still to be told of a new one.
CREATE TABLE tg_approval_notices (
    approval TEXT COLLATE "C" NOT NULL REFERENCES tg_approvals (id) ON DELETE CASCADE,
    target   TEXT COLLATE "C" NOT NULL,
    due_ms   BIGINT NOT NULL,
    attempt  BIGINT NOT NULL,
    error    TEXT,
    PRIMARY KEY (approval, target)
);
CREATE INDEX tg_approval_notices_due ON tg_approval_notices (target, due_ms);

CREATE TABLE tg_approval_links (
    hash       TEXT COLLATE "C" NOT NULL PRIMARY KEY,
    approval   TEXT COLLATE "C" NOT NULL REFERENCES tg_approvals (id) ON DELETE CASCADE,
    admin      TEXT COLLATE "C" NOT NULL,
    expires_ms BIGINT NOT NULL
);
CREATE INDEX tg_approval_links_approval ON tg_approval_links (approval);
CREATE INDEX tg_approval_links_admin ON tg_approval_links (admin);
