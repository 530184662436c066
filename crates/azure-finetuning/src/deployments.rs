//! Deployments of tuned models, through Azure's management plane: its own address, and tokens only.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

use crate::client::Client;
use crate::error::Error;
use crate::id::{self, InvalidId, ModelId};
use crate::model::Extra;
use crate::open_enum::open_enum;
use crate::transport::{Body, Call};

/// The version of the management plane's API that is spoken.
const API_VERSION: &str = "2024-10-01";

/// An Azure OpenAI account, as the management plane names it. Each part follows the rules of an id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    subscription: String,
    resource_group: String,
    name: String,
}

impl Account {
    /// The account `name` in `resource_group` of `subscription`.
    ///
    /// # Errors
    /// [`InvalidId`] unless each is 1 to 255 bytes: a letter or digit, then letters, digits, `.`, `_`, `:` or `-`.
    pub fn new(subscription: &str, resource_group: &str, name: &str) -> Result<Self, InvalidId> {
        for part in [subscription, resource_group, name] {
            id::check(part)?;
        }
        let (subscription, resource_group) = (subscription.to_owned(), resource_group.to_owned());
        Ok(Self { subscription, resource_group, name: name.to_owned() })
    }
}

id::id!(
    /// The name of a deployment: what callers of the model use.
    DeploymentName
);

open_enum!(
    /// How a deployment is hosted and paid for.
    Sku {
        /// In the account's region, by the hour.
        Standard = "Standard" | "standard",
        /// Anywhere.
        GlobalStandard = "GlobalStandard",
        /// Within a data zone.
        DataZoneStandard = "DataZoneStandard",
        /// On reserved throughput.
        ProvisionedManaged = "ProvisionedManaged",
        /// For trials; deleted by the service after a day.
        DeveloperTier = "DeveloperTier" | "developertier",
    }
);

open_enum!(
    /// Where a deployment stands.
    ProvisioningState {
        /// Taken note of.
        Accepted = "Accepted",
        /// Being made.
        Creating = "Creating",
        /// Being removed.
        Deleting = "Deleting",
        /// Being moved.
        Moving = "Moving",
        /// Ready for use.
        Succeeded = "Succeeded",
        /// Not made.
        Failed = "Failed",
        /// Given up.
        Canceled = "Canceled",
        /// Switched off.
        Disabled = "Disabled",
    }
);

impl ProvisioningState {
    /// Whether nothing more happens by itself.
    #[must_use]
    pub fn is_terminal(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Canceled | Self::Disabled)
    }
}

/// A deployment of a model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deployment {
    /// Its name.
    pub name: DeploymentName,
    /// Where it stands, and what it deploys.
    #[serde(default, deserialize_with = "crate::model::lenient::present")]
    pub properties: DeploymentProperties,
    /// Members this crate does not know, such as `id`, `type`, `sku`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Where a deployment stands, and what it deploys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[non_exhaustive]
pub struct DeploymentProperties {
    /// Where it stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provisioning_state: Option<ProvisioningState>,
    /// Members this crate does not know, such as `model`.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Operations on the deployments of an account. From [`Client::deployments`].
#[derive(Clone, Debug)]
pub struct Deployments {
    client: Client,
    account: Account,
}

impl Client {
    /// Operations on the deployments of an account. They need a token provider; a key of the account does not do.
    #[must_use]
    pub fn deployments(&self, account: Account) -> Deployments {
        Deployments { client: self.clone(), account }
    }
}

impl Deployments {
    /// Deploys a tuned model, which costs by the hour until the deployment is deleted. Asking twice makes one deployment.
    ///
    /// `capacity` is in the units of the sku. The answer comes before the deployment is ready: see
    /// [`Deployments::wait_until_ready`].
    ///
    /// # Errors
    /// [`Error::Auth`] without a token provider.
    pub async fn create(
        &self,
        name: &DeploymentName,
        model: &ModelId,
        sku: Sku,
        capacity: u32,
    ) -> Result<Deployment, Error> {
        let model = json!({ "format": "OpenAI", "name": model, "version": "1" });
        let body = json!({ "sku": { "name": sku, "capacity": capacity }, "properties": { "model": model } });
        let body = Body::Json(body.to_string().into());
        self.client.manage(Call::put("deployments.create", self.url(name), body)).await
    }

    /// One deployment.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when there is no such deployment; [`Error::Auth`] without a token provider.
    pub async fn get(&self, name: &DeploymentName) -> Result<Deployment, Error> {
        self.client.manage(Call::get("deployments.get", self.url(name))).await
    }

    /// Deletes a deployment, and with it its cost. The model stays.
    ///
    /// # Errors
    /// [`Error::Auth`] without a token provider.
    pub async fn delete(&self, name: &DeploymentName) -> Result<(), Error> {
        let call = Call::delete("deployments.delete", self.url(name));
        self.client.manage::<serde::de::IgnoredAny>(call).await.map(drop)
    }

    /// Looks every `interval` until nothing more happens by itself: see [`DeploymentProperties::provisioning_state`].
    ///
    /// # Errors
    /// [`Error::Deadline`] when that takes longer than `deadline`; the deployment goes on.
    pub async fn wait_until_ready(
        &self,
        name: &DeploymentName,
        interval: Duration,
        deadline: Duration,
    ) -> Result<Deployment, Error> {
        let look = async {
            loop {
                let deployment = self.get(name).await?;
                if deployment.properties.provisioning_state.as_ref().is_some_and(ProvisioningState::is_terminal) {
                    return Ok(deployment);
                }
                tokio::time::sleep(interval).await;
            }
        };
        let late = Error::Deadline { operation: "deployments.wait_until_ready", after: deadline };
        tokio::time::timeout(deadline, look).await.unwrap_or(Err(late))
    }

    fn url(&self, name: &DeploymentName) -> Url {
        let Account { subscription, resource_group, name: account } = &self.account;
        let path = [
            "subscriptions",
            subscription,
            "resourceGroups",
            resource_group,
            "providers",
            "Microsoft.CognitiveServices",
            "accounts",
            account,
            "deployments",
            name.as_str(),
        ];
        let mut url = self.client.management_url(&path);
        url.query_pairs_mut().append_pair("api-version", API_VERSION);
        url
    }
}
