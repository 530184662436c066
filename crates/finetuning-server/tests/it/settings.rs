//! What the environment says, and what is wrong with it.

use std::ffi::OsString;

use finetuning_server::Settings;

#[track_caller]
fn check(variables: &[(&str, &str)], expected: &str) {
    let variables: Vec<(OsString, OsString)> =
        variables.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    let found = Settings::from_env(variables);
    let shown = found.map_or_else(|error| error.to_string(), |settings| format!("ok {settings:?}"));
    assert!(shown.contains(expected), "{shown}");
    assert!(!shown.contains("planted"), "{shown}");
}

#[test]
fn variables_are_named_when_they_cannot_be_used() {
    let endpoint = ("AZURE_OPENAI_ENDPOINT", "https://n.openai.azure.com/");
    let key = ("AZURE_OPENAI_API_KEY", "planted-key");
    check(&[], "AZURE_OPENAI_ENDPOINT is not set");
    check(&[("AZURE_OPENAI_ENDPOINT", " "), key], "AZURE_OPENAI_ENDPOINT is not set");
    check(&[endpoint], "set AZURE_OPENAI_API_KEY");
    check(&[endpoint, key], "ok ");
    check(&[endpoint, key, ("AZURE_OPENAI_API_VERSION", "soon")], "`soon` is not an API version");
    check(&[endpoint, key, ("SWAGGER_PATH", "none.yaml")], "`none.yaml`, which SWAGGER_PATH names, cannot be read");
    check(&[endpoint, key, ("SWAGGER_ALLOW_WRITES", "maybe")], "SWAGGER_ALLOW_WRITES is neither");
    check(&[endpoint, key, ("FINETUNING_UPLOAD_DIR", "none")], "`none`, which FINETUNING_UPLOAD_DIR names");
    check(&[endpoint, key, ("AZURE_RESOURCE_GROUP", "g")], "belong together");
    check(&[endpoint, key, ("AZURE_SUBSCRIPTION_ID", "s")], "ok ");
}

#[test]
fn a_document_that_cannot_be_used_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("api.yaml");
    std::fs::write(&path, "paths: 1").unwrap();
    let path = path.to_str().unwrap();
    let service = [
        ("AZURE_OPENAI_ENDPOINT", "https://n.openai.azure.com"),
        ("AZURE_OPENAI_API_KEY", "k"),
        ("SWAGGER_PATH", path),
    ];
    check(&service, "which SWAGGER_PATH names, cannot be used");
}
