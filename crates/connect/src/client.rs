//! What is known of each client, as `clients.toml` says it: the only place that tells one client from another.

use serde::Deserialize;

use crate::entry::Members;
use crate::error::Error;
use crate::place::Os;

/// A client: where its files are, and how an entry is written there.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Client {
    /// Its name on the command line.
    pub id: String,
    /// Its name in what people read.
    pub name: String,
    /// The language of its file.
    pub format: Format,
    /// The member of the file that holds the servers.
    pub servers: String,
    user: ByOs,
    /// Where a project's file is, if the client has such.
    pub project: Option<String>,
    http: Option<Members>,
    http_token: Option<Members>,
    stdio: Members,
    stdio_token: Option<Members>,
    /// What the user has to do for the client to see a change.
    pub then: String,
    /// Where all this is documented.
    pub sources: Vec<String>,
}

/// The language of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// JSON, with comments and commas at the end wherever somebody wrote some.
    Json,
    /// TOML.
    Toml,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ByOs {
    linux: Vec<String>,
    macos: Vec<String>,
    windows: Vec<String>,
}

/// An entry's members before names and addresses stand in them: the plain ones, and those that are added for a token.
pub(crate) struct Shape<'a> {
    pub(crate) plain: &'a Members,
    pub(crate) token: Option<&'a Members>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Data {
    client: Vec<Client>,
}

/// All clients, in the order of the data file.
pub fn clients() -> Result<Vec<Client>, Error> {
    let data: Data = toml_edit::de::from_str(include_str!("clients.toml")).map_err(|e| Error::Data(e.to_string()))?;
    Ok(data.client)
}

impl Client {
    /// Where the user's file may be; the first path that can be resolved is the one.
    pub fn user(&self, os: Os) -> &[String] {
        match os {
            Os::Linux => &self.user.linux,
            Os::MacOs => &self.user.macos,
            Os::Windows => &self.user.windows,
        }
    }

    /// Whether it can be told a URL.
    pub fn speaks_http(&self) -> bool {
        self.http.is_some()
    }

    pub(crate) fn http(&self) -> Option<Shape<'_>> {
        let plain = self.http.as_ref()?;
        Some(Shape { plain, token: self.http_token.as_ref() })
    }

    pub(crate) fn stdio(&self) -> Shape<'_> {
        Shape { plain: &self.stdio, token: self.stdio_token.as_ref() }
    }
}
