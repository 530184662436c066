//! What the server is told at its start: which service, as whom, and which OpenAPI document.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use azure_finetuning::{Account, ApiSurface, Client, ConfigError, InvalidId};

use crate::openapi::{Document, InvalidDocument};

/// How the server shall be. `Debug` shows no secrets.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(crate) client: Client,
    pub(crate) document: Arc<Document>,
    /// Whether the dynamic tools may do more than GET.
    pub(crate) dynamic_writes: bool,
    /// Where local files may be uploaded from; from nowhere without it.
    pub(crate) upload_folder: Option<PathBuf>,
    /// The account that deployments are in, unless a call names another.
    pub(crate) account: Option<Account>,
}

/// Why the settings cannot work.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error(transparent)]
    Client(#[from] ConfigError),
    #[error(
        "AZURE_OPENAI_ENDPOINT is not set: it is the address of the resource, such as https://my-resource.openai.azure.com"
    )]
    NoEndpoint,
    #[error(
        "no credential: set AZURE_OPENAI_API_KEY, or AZURE_TENANT_ID and AZURE_CLIENT_ID with AZURE_CLIENT_SECRET or \
         AZURE_FEDERATED_TOKEN_FILE"
    )]
    NoCredential,
    #[error("`{}`, which SWAGGER_PATH names, cannot be read", .0.display())]
    Unreadable(PathBuf, #[source] std::io::Error),
    #[error("`{}`, which SWAGGER_PATH names, cannot be used", .0.display())]
    Document(PathBuf, #[source] InvalidDocument),
    #[error("the built-in OpenAPI document cannot be used")]
    BuiltIn(#[source] InvalidDocument),
    #[error("`{}`, which FINETUNING_UPLOAD_DIR names, is not a folder that can be used", .0.display())]
    UploadFolder(PathBuf, #[source] std::io::Error),
    #[error(
        "AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and AZURE_OPENAI_ACCOUNT belong together, and one of them is missing"
    )]
    HalfAnAccount,
    #[error("AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and AZURE_OPENAI_ACCOUNT do not name an account")]
    Account(#[source] InvalidId),
    #[error("SWAGGER_ALLOW_WRITES is neither `true` nor `false`")]
    DynamicWrites,
}

/// No OpenAPI document that a person would write is larger.
const LARGEST_DOCUMENT: u64 = 8 << 20;

impl Settings {
    /// For this client, with the built-in OpenAPI document.
    ///
    /// # Errors
    /// None that a caller could cause.
    pub fn new(client: Client) -> Result<Self, SettingsError> {
        let document = Document::built_in(client.surface()).map_err(SettingsError::BuiltIn)?;
        Ok(Self { client, document: Arc::new(document), dynamic_writes: false, upload_folder: None, account: None })
    }

    /// As these variables say, a later one over an earlier:
    ///
    /// - what [`Client::from_env`] reads;
    /// - `SWAGGER_PATH`: an OpenAPI document for the dynamic tools; `SWAGGER_ALLOW_WRITES=true` lets them do more than GET;
    /// - `FINETUNING_UPLOAD_DIR`: the folder from which local files may be uploaded;
    /// - `AZURE_SUBSCRIPTION_ID`, `AZURE_RESOURCE_GROUP`, `AZURE_OPENAI_ACCOUNT`: the account for deployments.
    ///
    /// # Errors
    /// [`SettingsError`], which names the variable.
    pub fn from_env(variables: impl IntoIterator<Item = (OsString, OsString)>) -> Result<Self, SettingsError> {
        let text = |(name, value): (OsString, OsString)| Some((name.into_string().ok()?, value.into_string().ok()?));
        let variables: HashMap<String, String> =
            variables.into_iter().filter_map(text).filter(|(_, value)| !value.trim().is_empty()).collect();
        let client = Client::from_variables(|name| variables.get(name).cloned()).map_err(named)?;
        let mut settings = Self::new(client)?;
        if let Some(path) = variables.get("SWAGGER_PATH") {
            settings.document = Arc::new(document(Path::new(path), settings.client.surface())?);
        }
        settings.dynamic_writes = match variables.get("SWAGGER_ALLOW_WRITES").map(String::as_str) {
            None | Some("false" | "0") => false,
            Some("true" | "1") => true,
            Some(_) => return Err(SettingsError::DynamicWrites),
        };
        if let Some(folder) = variables.get("FINETUNING_UPLOAD_DIR") {
            let folder = PathBuf::from(folder);
            let found = folder.canonicalize().and_then(|found| found.read_dir().map(|_| found));
            settings.upload_folder = Some(found.map_err(|error| SettingsError::UploadFolder(folder, error))?);
        }
        let names = ["AZURE_SUBSCRIPTION_ID", "AZURE_RESOURCE_GROUP", "AZURE_OPENAI_ACCOUNT"];
        settings.account = match names.map(|name| variables.get(name)) {
            [Some(subscription), Some(group), Some(name)] => {
                Some(Account::new(subscription, group, name).map_err(SettingsError::Account)?)
            }
            // The subscription is often set for other tools.
            [_, None, None] => None,
            _ => return Err(SettingsError::HalfAnAccount),
        };
        Ok(settings)
    }

    /// For this OpenAPI document instead of the built-in one.
    ///
    /// # Errors
    /// [`SettingsError::Document`] when it cannot be used.
    pub fn with_document(mut self, name: &Path, text: &str) -> Result<Self, SettingsError> {
        let document = Document::parse(text, self.client.surface());
        self.document = Arc::new(document.map_err(|error| SettingsError::Document(name.to_owned(), error))?);
        Ok(self)
    }
}

/// What is missing, by the variables that would say it.
fn named(error: ConfigError) -> SettingsError {
    if matches!(error, ConfigError::NoEndpoint) {
        SettingsError::NoEndpoint
    } else if matches!(error, ConfigError::NoCredential) {
        SettingsError::NoCredential
    } else {
        SettingsError::Client(error)
    }
}

fn document(path: &Path, surface: &ApiSurface) -> Result<Document, SettingsError> {
    use std::io::Read as _;
    let read = || {
        let mut text = String::new();
        let length = std::fs::File::open(path)?.take(LARGEST_DOCUMENT + 1).read_to_string(&mut text)?;
        if length as u64 > LARGEST_DOCUMENT {
            return Err(std::io::Error::other(format!("it is larger than {LARGEST_DOCUMENT} bytes")));
        }
        Ok(text)
    };
    let text = read().map_err(|error| SettingsError::Unreadable(path.to_owned(), error))?;
    Document::parse(&text, surface).map_err(|error| SettingsError::Document(path.to_owned(), error))
}
