//! Deployments, on the management plane: an Entra identity and an account are needed.

use std::time::Duration;

use azure_finetuning::{Account, Deployment, DeploymentName, Deployments, ModelId, Sku};
use serde_json::{Value, json};

use super::{Answer, Definition};
use crate::Settings;
use crate::args::Args;
use crate::failure::{Failure, of_service};
use crate::progress::Progress;
use crate::schema::{id, input, output, plain, text, whole};

/// The first delay between two looks; each next is half as long again.
const LOOK: Duration = Duration::from_millis(500);
const LONGEST_LOOK: Duration = Duration::from_secs(10);

pub(super) fn definitions() -> Vec<Definition> {
    let name = ("deployment_name", id("the deployment's name"));
    let account = [
        ("subscription_id?", id("the account's subscription; the operator's if all three are absent")),
        ("resource_group?", id("the account's resource group")),
        ("account?", id("the account's name")),
    ];
    let deployment = || output(&[("name", plain("string")), ("properties", plain("object"))]);
    let with_account = |own: &[(&'static str, Value)]| input(&[own, &account].concat());
    vec![
        Definition {
            name: "deploy_finetuned_model",
            description: "Deploys a tuned model, which costs by the hour until the deployment is deleted. With `wait_error` in the answer it was created, but could not be looked at while waiting.",
            input: with_account(&[
                name.clone(),
                ("model", id("the tuned model, or a checkpoint")),
                (
                    "sku?",
                    text("Standard (if absent), GlobalStandard, DataZoneStandard, ProvisionedManaged or DeveloperTier"),
                ),
                ("capacity?", whole("in units of the sku; 1 if absent", 1, 100_000)),
                ("wait_seconds?", whole("how long to wait until it is ready; not at all if absent", 1, 1_800)),
            ]),
            output: deployment(),
            is_idempotent: true,
        },
        Definition {
            name: "get_deployment",
            description: "State of one deployment.",
            input: with_account(std::slice::from_ref(&name)),
            output: deployment(),
            is_idempotent: true,
        },
        Definition {
            name: "delete_deployment",
            description: "Deletes a deployment and with it its cost; whoever calls it is cut off. The model stays.",
            input: with_account(&[name]),
            output: output(&[("name", plain("string")), ("deleted", plain("boolean"))]),
            is_idempotent: true,
        },
    ]
}

fn deployments(settings: &Settings, args: &Args) -> Result<Deployments, Failure> {
    let names = ["subscription_id", "resource_group", "account"];
    let account = match names.map(|name| args.text(name)) {
        [Some(subscription), Some(group), Some(name)] => {
            Account::new(subscription, group, name).map_err(|error| Failure::argument("account", error))?
        }
        [None, None, None] => settings.account.clone().ok_or_else(|| {
            let why = "no account is known: give subscription_id, resource_group and account, or let the operator set \
                       AZURE_SUBSCRIPTION_ID, AZURE_RESOURCE_GROUP and AZURE_OPENAI_ACCOUNT";
            Failure::argument("account", why)
        })?,
        _ => return Err(Failure::argument("account", "subscription_id, resource_group and account belong together")),
    };
    Ok(settings.client.deployments(account))
}

pub(super) async fn deploy(settings: &Settings, args: &Args, progress: &Progress) -> Answer {
    let (name, model): (DeploymentName, ModelId) = (args.parse("deployment_name")?, args.parse("model")?);
    let sku = Sku::from(args.text("sku").unwrap_or("Standard"));
    let capacity = args.whole("capacity").and_then(|units| u32::try_from(units).ok()).unwrap_or(1);
    let deployments = deployments(settings, args)?;
    let mut deployment = deployments.create(&name, &model, sku, capacity).await?;
    let Some(seconds) = args.whole("wait_seconds") else { return Ok(json!(deployment)) };
    let waiting = async {
        let mut delay = LOOK;
        while !is_settled(&deployment) {
            progress.say(format!("the deployment is {}", state(&deployment))).await;
            tokio::time::sleep(delay).await;
            delay = delay.mul_f64(1.5).min(LONGEST_LOOK);
            deployment = deployments.get(&name).await?;
        }
        Ok::<_, azure_finetuning::Error>(())
    };
    // Time that is up is no failure: the deployment goes on, and its state says how far it is. Nor is a look that failed: the
    // deployment is there, it costs, and whoever called has to know.
    let waited = tokio::time::timeout(Duration::from_secs(seconds), waiting).await;
    let mut answer = json!(deployment);
    if let Ok(Err(error)) = waited
        && let Some(members) = answer.as_object_mut()
    {
        members.insert("wait_error".to_owned(), of_service(&error));
    }
    Ok(answer)
}

fn is_settled(deployment: &Deployment) -> bool {
    deployment.properties.provisioning_state.as_ref().is_some_and(|state| state.is_terminal())
}

fn state(deployment: &Deployment) -> &str {
    deployment.properties.provisioning_state.as_ref().map_or("unknown", |state| state.as_str())
}

pub(super) async fn get(settings: &Settings, args: &Args) -> Answer {
    Ok(json!(deployments(settings, args)?.get(&args.parse("deployment_name")?).await?))
}

pub(super) async fn delete(settings: &Settings, args: &Args) -> Answer {
    let name: DeploymentName = args.parse("deployment_name")?;
    deployments(settings, args)?.delete(&name).await?;
    Ok(json!({ "name": name, "deleted": true }))
}
