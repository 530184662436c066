//! Deployments: where requests go, with which token, and when one is ready.

use std::time::Duration;

use azure_finetuning::{Account, ClientSecret, DeploymentName, Deployments, Error, ProvisioningState, Sku};
use serde_json::json;
use wiremock::{MockServer, ResponseTemplate};

use crate::support::{answers, body, builder, header, json, lines, quick, requests};

const PATH: &str = "/subscriptions/sub/resourceGroups/rg/providers/Microsoft.CognitiveServices/accounts/acct/deployments/d1?api-version=2024-10-01";

fn account() -> Account {
    Account::new("sub", "rg", "acct").unwrap()
}

fn name() -> DeploymentName {
    "d1".parse().unwrap()
}

fn deployment(state: &str) -> ResponseTemplate {
    let properties = json!({"provisioningState": state, "model": {"format": "OpenAI", "name": "m", "version": "1"}});
    json(200, &json!({"id": "/x", "name": "d1", "sku": {"name": "Standard"}, "properties": properties}).to_string())
}

/// Deployments managed at `management`, with tokens of `authority`. The endpoint of the account is nowhere.
fn deployments(management: &MockServer, authority: &MockServer) -> Deployments {
    let provider = ClientSecret::new("tenant", "app", "secret".to_owned().into()).unwrap();
    let provider = provider.authority(&authority.uri()).unwrap().retry(quick());
    let builder = builder(management).endpoint("https://nowhere.invalid").management_endpoint(management.uri());
    builder.token_provider(provider).build().unwrap().deployments(account())
}

#[tokio::test]
async fn a_model_is_deployed_until_it_is_deleted() {
    let (management, authority) = (MockServer::start().await, MockServer::start().await);
    answers(&authority, vec![json(200, r#"{"access_token":"t1","expires_in":3599}"#)]).await;
    let states = ["Creating", "Accepted", "Creating", "Succeeded"].map(deployment);
    answers(&management, states.into_iter().chain([ResponseTemplate::new(202)]).collect()).await;
    let deployments = deployments(&management, &authority);
    let model = "gpt-4.1.ft-1:ckpt-step-2".parse().unwrap();
    let made = deployments.create(&name(), &model, Sku::Standard, 1).await.unwrap();
    assert_eq!(made.properties.provisioning_state, Some(ProvisioningState::Creating));
    let ready = deployments.wait_until_ready(&name(), Duration::from_millis(1), Duration::from_secs(60)).await.unwrap();
    assert_eq!(ready.properties.provisioning_state, Some(ProvisioningState::Succeeded));
    deployments.delete(&name()).await.unwrap();
    let get = format!("GET {PATH}");
    let expected = [format!("PUT {PATH}"), get.clone(), get.clone(), get, format!("DELETE {PATH}")];
    assert_eq!(lines(&management).await, expected);
    let sent = requests(&management).await;
    assert_eq!(header(&sent[0], "authorization"), Some("Bearer t1"));
    let model = json!({"format": "OpenAI", "name": "gpt-4.1.ft-1:ckpt-step-2", "version": "1"});
    let expected = json!({"sku": {"name": "Standard", "capacity": 1}, "properties": {"model": model}});
    assert_eq!(body(&sent[0]), expected);
    let asked = String::from_utf8(requests(&authority).await[0].body.clone()).unwrap();
    assert!(asked.contains("scope=https%3A%2F%2Fmanagement.azure.com%2F.default"), "{asked}");
}

#[tokio::test]
async fn waiting_for_a_deployment_has_an_end() {
    let (management, authority) = (MockServer::start().await, MockServer::start().await);
    answers(&authority, vec![json(200, r#"{"access_token":"t1","expires_in":3599}"#)]).await;
    answers(&management, vec![deployment("Creating")]).await;
    let (interval, deadline) = (Duration::from_millis(1), Duration::from_millis(40));
    let error = deployments(&management, &authority).wait_until_ready(&name(), interval, deadline).await.unwrap_err();
    assert!(matches!(error, Error::Deadline { .. }), "{error:?}");
}

#[tokio::test]
async fn a_key_does_not_reach_the_management_plane() {
    let server = MockServer::start().await;
    let client = builder(&server).management_endpoint(server.uri()).build().unwrap();
    let error = client.deployments(account()).get(&name()).await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "this needs a token provider, a key does not do");
    assert_eq!(lines(&server).await, [""; 0]);
}

#[test]
fn no_part_of_an_account_leaves_its_place() {
    for parts in [["..", "rg", "a"], ["s", "rg/x", "a"], ["s", "rg", "a?b"], ["s", "rg", ""]] {
        let [subscription, group, account] = parts;
        assert!(Account::new(subscription, group, account).is_err(), "{parts:?}");
    }
    assert!("../d".parse::<DeploymentName>().is_err());
}
