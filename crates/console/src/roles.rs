//! Who may do what: one table. A route that is not in it cannot be reached, by anybody.

use http::Method;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What an admin may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sees all but the admins
    Viewer,
    /// Sees the same, and decides about calls that wait for it
    Approver,
    /// Sees the same, and writes and activates policies
    PolicyManager,
    /// May do everything
    Admin,
}

impl Role {
    pub const ALL: [Self; 4] = [Self::Viewer, Self::Approver, Self::PolicyManager, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Approver => "approver",
            Self::PolicyManager => "policy_manager",
            Self::Admin => "admin",
        }
    }

    /// By the store's word, which takes back what is said by who no longer may.
    pub(crate) fn may_approve(self) -> bool {
        store::Role::from(self).may_approve()
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

impl From<store::Role> for Role {
    fn from(role: store::Role) -> Self {
        match role {
            store::Role::Admin => Self::Admin,
            store::Role::PolicyManager => Self::PolicyManager,
            store::Role::Approver => Self::Approver,
            store::Role::Viewer => Self::Viewer,
        }
    }
}

impl From<Role> for store::Role {
    fn from(role: Role) -> Self {
        match role {
            Role::Admin => Self::Admin,
            Role::PolicyManager => Self::PolicyManager,
            Role::Approver => Self::Approver,
            Role::Viewer => Self::Viewer,
        }
    }
}

/// Whom a route is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Who {
    /// Nobody needs to be known.
    Anyone,
    /// All roles.
    SignedIn,
    /// `approver` and `admin`.
    Approvers,
    /// `policy_manager` and `admin`.
    Policies,
    /// `admin`.
    Admins,
}

impl Who {
    pub(crate) fn includes(self, role: Role) -> bool {
        match self {
            Self::Anyone | Self::SignedIn => true,
            Self::Approvers => role.may_approve(),
            Self::Policies => matches!(role, Role::PolicyManager | Role::Admin),
            Self::Admins => role == Role::Admin,
        }
    }
}

/// What a request must, or may, say so that it is carried out once and on what was meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Care {
    /// Nothing.
    Plain,
    /// `If-Match` with the version that is meant.
    Version,
    /// That, or `If-None-Match: *` to create.
    VersionOrNew,
    /// It may say an `Idempotency-Key`.
    Key,
    /// Both: `If-Match` with the version that is meant, and it may say a key.
    VersionAndKey,
}

pub(crate) struct Rule {
    pub(crate) method: Method,
    pub(crate) path: &'static str,
    pub(crate) who: Who,
    pub(crate) care: Care,
}

const fn rule(method: Method, path: &'static str, who: Who, care: Care) -> Rule {
    Rule { method, path, who, care }
}

use Care::{Key, Plain, Version, VersionAndKey, VersionOrNew};
use Who::{Admins, Anyone, Approvers, Policies, SignedIn};

const GET: Method = Method::GET;
const POST: Method = Method::POST;
const PUT: Method = Method::PUT;
const DELETE: Method = Method::DELETE;

// INVARIANT: what is not here is refused. A test holds this table against the OpenAPI document, both ways.
#[rustfmt::skip]
pub(crate) const RULES: &[Rule] = &[
    rule(GET,    "/login",                                          Anyone,    Plain),
    rule(GET,    "/login.js",                                       Anyone,    Plain),
    // Pages for people. Who decides is looked at there: by a session with its token in the form, or by a key.
    rule(GET,    "/approvals/{id}",                                 Anyone,    Plain),
    rule(POST,   "/approvals/{id}",                                 Anyone,    Plain),
    rule(GET,    "/approvals/{id}/look",                            Anyone,    Plain),
    rule(POST,   "/approvals/{id}/look",                            Anyone,    Plain),
    rule(GET,    "/approval.css",                                   Anyone,    Plain),
    rule(GET,    "/approval.js",                                    Anyone,    Plain),
    rule(GET,    "/api/v1/openapi.json",                            Anyone,    Plain),
    rule(POST,   "/api/v1/login",                                   Anyone,    Plain),
    rule(POST,   "/api/v1/logout",                                  SignedIn,  Plain),
    rule(GET,    "/api/v1/me",                                      SignedIn,  Plain),
    rule(POST,   "/api/v1/me/tokens",                               SignedIn,  Key),

    rule(GET,    "/api/v1/servers",                                 SignedIn,  Plain),
    rule(GET,    "/api/v1/servers/{id}",                            SignedIn,  Plain),
    rule(PUT,    "/api/v1/servers/{id}",                            Admins,    VersionOrNew),
    rule(DELETE, "/api/v1/servers/{id}",                            Admins,    Version),
    rule(GET,    "/api/v1/servers/{id}/health",                     SignedIn,  Plain),

    rule(GET,    "/api/v1/agents",                                  SignedIn,  Plain),
    rule(GET,    "/api/v1/agents/{id}",                             SignedIn,  Plain),
    rule(PUT,    "/api/v1/agents/{id}",                             Admins,    VersionOrNew),
    rule(DELETE, "/api/v1/agents/{id}",                             Admins,    Version),
    rule(GET,    "/api/v1/agents/{id}/tokens",                      SignedIn,  Plain),
    rule(POST,   "/api/v1/agents/{id}/tokens",                      Admins,    Key),
    rule(GET,    "/api/v1/agents/{id}/tokens/{token}",              SignedIn,  Plain),
    rule(DELETE, "/api/v1/agents/{id}/tokens/{token}",              Admins,    Version),
    rule(POST,   "/api/v1/agents/{id}/tokens/{token}/rotate",       Admins,    Key),

    rule(GET,    "/api/v1/policies",                                SignedIn,  Plain),
    rule(GET,    "/api/v1/policies/{name}",                         SignedIn,  Plain),
    rule(PUT,    "/api/v1/policies/{name}",                         Policies,  VersionOrNew),
    rule(DELETE, "/api/v1/policies/{name}",                         Policies,  Version),
    rule(GET,    "/api/v1/policies/{name}/versions",                SignedIn,  Plain),
    rule(POST,   "/api/v1/policies/{name}/versions",                Policies,  Key),
    rule(GET,    "/api/v1/policies/{name}/versions/{number}",       SignedIn,  Plain),
    rule(POST,   "/api/v1/policies/{name}/activate",                Policies,  VersionAndKey),
    rule(GET,    "/api/v1/policies/{name}/diff",                    SignedIn,  Plain),
    rule(POST,   "/api/v1/check",                                   SignedIn,  Plain),

    rule(GET,    "/api/v1/approvals",                               SignedIn,  Plain),
    rule(GET,    "/api/v1/approvals/{id}",                          SignedIn,  Plain),
    rule(POST,   "/api/v1/approvals/{id}/approve",                  Approvers, Key),
    rule(POST,   "/api/v1/approvals/{id}/deny",                     Approvers, Key),
    rule(POST,   "/api/v1/approvals/{id}/grant",                    Approvers, Key),
    rule(GET,    "/api/v1/grants",                                  SignedIn,  Plain),
    rule(GET,    "/api/v1/grants/{id}",                             SignedIn,  Plain),
    rule(DELETE, "/api/v1/grants/{id}",                             Approvers, Plain),

    rule(GET,    "/api/v1/credentials",                             SignedIn,  Plain),
    rule(GET,    "/api/v1/credentials/{id}",                        SignedIn,  Plain),
    rule(PUT,    "/api/v1/credentials/{id}",                        Admins,    VersionOrNew),
    rule(DELETE, "/api/v1/credentials/{id}",                        Admins,    Version),

    rule(GET,    "/api/v1/settings",                                SignedIn,  Plain),
    rule(GET,    "/api/v1/settings/{key}",                          SignedIn,  Plain),
    rule(PUT,    "/api/v1/settings/{key}",                          Admins,    VersionOrNew),
    rule(DELETE, "/api/v1/settings/{key}",                          Admins,    Version),

    rule(GET,    "/api/v1/admins",                                  Admins,    Plain),
    rule(GET,    "/api/v1/admins/{name}",                           Admins,    Plain),
    rule(PUT,    "/api/v1/admins/{name}",                           Admins,    VersionOrNew),
    rule(DELETE, "/api/v1/admins/{name}",                           Admins,    Version),
    rule(GET,    "/api/v1/admins/{name}/tokens",                    Admins,    Plain),
    rule(POST,   "/api/v1/admins/{name}/tokens",                    Admins,    Key),
    rule(DELETE, "/api/v1/admins/{name}/tokens/{token}",            Admins,    Plain),
    rule(POST,   "/api/v1/admins/{name}/links",                     Admins,    Key),

    rule(GET,    "/api/v1/audit",                                   SignedIn,  Plain),
    rule(GET,    "/api/v1/audit/status",                            SignedIn,  Plain),
    rule(GET,    "/api/v1/events",                                  SignedIn,  Plain),
];

/// The rule for a route, by its template. `HEAD` is a `GET` whose body is not sent.
pub(crate) fn find(method: &Method, path: &str) -> Option<&'static Rule> {
    let method = if method == Method::HEAD { &Method::GET } else { method };
    RULES.iter().find(|rule| rule.method == *method && rule.path == path)
}

/// For `Allow`.
pub(crate) fn allowed(path: &str) -> String {
    let methods = RULES.iter().filter(|rule| rule.path == path).map(|rule| match rule.method == Method::GET {
        true => "GET, HEAD",
        false => rule.method.as_str(),
    });
    methods.collect::<Vec<_>>().join(", ")
}
