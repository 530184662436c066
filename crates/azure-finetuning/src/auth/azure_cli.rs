//! Tokens of whoever is logged in to the Azure CLI: for a developer's machine.

use std::ffi::OsString;
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use serde_json::Value;
use tokio::process::Command;

use super::{AccessToken, AuthError, TokenFuture, TokenProvider};

/// How the Azure CLI is called where it is installed.
const PROGRAM: &str = if cfg!(windows) { "az.cmd" } else { "az" };

/// How long a token is used whose end cannot be read: older CLIs write local time. They never give one that ends sooner.
const SHORTEST: Duration = Duration::from_secs(300);

/// The person or application that is logged in to the Azure CLI (`az account get-access-token`). No shell is involved.
#[derive(Clone, Debug)]
pub struct AzureCli {
    program: OsString,
    tenant: Option<String>,
    timeout: Duration,
}

impl Default for AzureCli {
    fn default() -> Self {
        Self { program: PROGRAM.into(), tenant: None, timeout: Duration::from_secs(30) }
    }
}

impl AzureCli {
    /// The CLI that is found on the `PATH`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Runs this program instead.
    #[must_use]
    pub fn program(mut self, program: impl Into<OsString>) -> Self {
        self.program = program.into();
        self
    }

    /// Asks for tokens of this tenant, not of the subscription that is selected.
    ///
    /// # Errors
    /// [`AuthError::Setting`] unless it is an id or a domain.
    pub fn tenant(mut self, tenant: &str) -> Result<Self, AuthError> {
        crate::id::check(tenant).map_err(|_| AuthError::Setting("tenant"))?;
        self.tenant = Some(tenant.to_owned());
        Ok(self)
    }

    /// How long the CLI may take; 30 s if this is not called. It is ended then.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn ask(&self, scope: &str) -> Result<AccessToken, AuthError> {
        // What begins like an option would be one, whatever it stands for.
        let lawful = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | ':' | '/' | '-');
        if !scope.starts_with(|c: char| c.is_ascii_alphanumeric()) || !scope.chars().all(lawful) {
            return Err(AuthError::Setting("scope"));
        }
        let mut command = Command::new(&self.program);
        command.args(["account", "get-access-token", "--output", "json", "--scope", scope]);
        command.args(self.tenant.iter().flat_map(|tenant| ["--tenant", tenant]));
        let output = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = tokio::time::timeout(self.timeout, output).await.map_err(|_| AuthError::TimedOut)?;
        let output = output.map_err(AuthError::Command)?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(AuthError::CommandRefused(crate::api_error::snippet(said.trim())));
        }
        read(&output.stdout, SystemTime::now())
    }
}

impl TokenProvider for AzureCli {
    fn token<'a>(&'a self, scope: &'a str) -> TokenFuture<'a> {
        Box::pin(self.ask(scope))
    }
}

fn read(output: &[u8], now: SystemTime) -> Result<AccessToken, AuthError> {
    let body: Value = serde_json::from_slice(output).unwrap_or_default();
    let secret = body.get("accessToken").and_then(Value::as_str).filter(|token| !token.is_empty());
    let secret = secret.ok_or(AuthError::Unintelligible("it has no `accessToken`"))?;
    let end = body.get("expires_on").and_then(Value::as_u64).map(Duration::from_secs);
    let end = end.and_then(|end| SystemTime::UNIX_EPOCH.checked_add(end));
    Ok(AccessToken { secret: secret.to_owned().into(), expires_on: end.unwrap_or(now + SHORTEST) })
}
