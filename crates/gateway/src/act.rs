//! What an admin does, as the journal has it: who, what, on which object, from which version to which. Never a value.

/// One act of an admin, or an attempt to be one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Act<'a> {
    /// Who; nobody, when that is not known.
    pub admin: Option<&'a str>,
    /// How it is known: `token`, `session`, `link`.
    pub via: &'a str,
    /// From which address.
    pub peer: &'a str,
    /// Such as `server.put`.
    pub action: &'a str,
    /// On what.
    pub id: &'a str,
    /// The version that is changed, if there is one.
    pub from: Option<i64>,
    /// The version that it became, where that is known.
    pub to: Option<i64>,
    /// `begun` before it is done, then `done` or `failed`; `refused` for what was not allowed.
    pub outcome: &'a str,
    /// Why not.
    pub code: Option<&'a str>,
}

impl<'a> Act<'a> {
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let Self { admin, via, peer, action, id, from: _, to: _, outcome, code } = *self;
        let all = [
            ("admin", admin),
            ("via", Some(via)),
            ("peer", Some(peer)),
            ("action", Some(action)),
            ("id", Some(id)),
            ("outcome", Some(outcome)),
            ("code", code),
        ];
        all.into_iter().filter_map(|(key, value)| Some((key, value.filter(|value| !value.is_empty())?)))
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = (&'static str, i64)> {
        [("from", self.from), ("to", self.to)].into_iter().filter_map(|(key, value)| Some((key, value?)))
    }
}
