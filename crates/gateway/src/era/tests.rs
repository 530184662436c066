//! Servers whose era is known already, asked again.

use std::sync::Arc;

use testkit::{Answer, Recorder};

use super::*;
use crate::clients::Clients;
use crate::config::{Config, ConfigFile, Layers, Reach};
use crate::credentials::Credentials;
use crate::policies::PolicyFile;
use crate::server::{Road, Way};
use crate::tls::Tls;

/// The way to a server of the test's.
pub(crate) fn upstream_of(recorder: &Recorder) -> Upstream {
    let config = Config::load(&Layers { file: ConfigFile::None, env: Vec::new(), flags: Vec::new() }).unwrap();
    let bounds = Arc::new(config.bounds);
    let policy = PolicyFile::built_in("p", r#"{ "version": "1", "default": "allow" }"#).unwrap();
    let url = recorder.url("/mcp").parse().unwrap();
    let road = Road::new("s", &url, &Reach::default(), &Tls::of_system().unwrap()).unwrap();
    let server = Arc::new(Server::new("s", Way::http(url, Credentials::default(), road), Arc::new(policy)));
    Upstream {
        own_policy: None,
        client: Clients::default(),
        server,
        agent: "ann".into(),
        deadline: Instant::now() + bounds.call_timeout,
        bounds,
    }
}

#[tokio::test]
async fn a_legacy_server_in_trouble_stays_one() {
    let recorder = Recorder::start(|_| Answer::status(503)).await;
    let upstream = upstream_of(&recorder);
    let era = &upstream.server.era;
    assert!(era.is_modern(&upstream).await.is_err(), "nothing is known of it yet");
    era.known.store(LEGACY, Ordering::Relaxed);
    era.asking.lock().await.answered = Instant::now().checked_sub(ASK_AGAIN);
    for _ in 0..2 {
        assert!(!era.is_modern(&upstream).await.unwrap());
    }
    assert_eq!(recorder.requests().len(), 2, "and is left alone for a while");
}
