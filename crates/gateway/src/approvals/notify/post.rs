//! Sends a message by HTTP: addresses judged as those of servers are, no redirect followed, nothing read but the status.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_TYPE, RETRY_AFTER, USER_AGENT};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use super::{Failure, PATIENCE};
use crate::guard;
use crate::policies::chain;
use crate::server::Road;

pub(super) async fn post(
    road: &Road,
    url: &Uri,
    headers: Vec<(&'static str, String)>,
    body: String,
) -> Result<(), Failure> {
    let client: Client<_, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).pool_max_idle_per_host(0).build(guard::connector(road, PATIENCE));
    let request = Request::post(url)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("toolgate/", env!("CARGO_PKG_VERSION")));
    let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
    let request = request.body(Full::from(body)).map_err(|_| Failure::Ever("a header cannot be written".to_owned()))?;
    let response = client.request(request).await.map_err(|error| Failure::Now(chain(&error), None))?;
    verdict(response.status(), response.headers())
}

fn verdict(status: StatusCode, headers: &HeaderMap) -> Result<(), Failure> {
    let why = format!("it answered {status}");
    let is_busy = matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS);
    match status.is_success() {
        true => Ok(()),
        false if is_busy || status.is_server_error() => Err(Failure::Now(why, retry_after(headers))),
        false => Err(Failure::Ever(why)),
    }
}

/// In seconds, or until a time.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match text.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, retry: Option<&str>, expected: Result<(), Option<Option<u64>>>) {
        let mut headers = HeaderMap::new();
        headers.extend(retry.map(|retry| (RETRY_AFTER, retry.parse().unwrap())));
        let found = verdict(StatusCode::from_u16(status).unwrap(), &headers).map_err(|failure| match failure {
            Failure::Now(_, after) => Some(after.map(|after| after.as_secs())),
            Failure::Ever(_) => None,
        });
        assert_eq!(found, expected, "{status} {retry:?}");
    }

    #[test]
    fn what_may_succeed_later_is_tried_again_and_nothing_else() {
        for status in [200, 202, 204] {
            check(status, None, Ok(()));
        }
        for status in [301, 302, 307, 308, 400, 401, 403, 404, 410, 422] {
            check(status, None, Err(None));
        }
        for status in [408, 429, 500, 502, 503, 504] {
            check(status, None, Err(Some(None)));
        }
        check(429, Some("7"), Err(Some(Some(7))));
        check(503, Some("Wed, 21 Oct 2015 07:28:00 GMT"), Err(Some(None)));
        check(503, Some("soon"), Err(Some(None)));
        check(503, Some("-1"), Err(Some(None)));
    }
}
