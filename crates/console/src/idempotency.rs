//! A POST that is sent twice under one key is carried out once, and answered alike.
//!
//! Answers may hold a secret that is given out once. They are kept sealed, with a key made of what the caller has shown: whoever reads
//! the store reads nothing, and the same caller gets the same answer.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use axum::body::Body;
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use http::header::{CONTENT_TYPE, ETAG, HeaderName, LOCATION};
use http::{HeaderValue, StatusCode};
use sha2::{Digest as _, Sha256};
use store::{Answer, Claim};

use crate::etag::one;
use crate::extract::{media, read};
use crate::guard::Caller;
use crate::here::Here;
use crate::problem::{Code, Problem};

const KEY: HeaderName = HeaderName::from_static("idempotency-key");
const MAX_KEY: usize = 128;

/// How long an answer is kept.
pub(crate) const KEPT_MS: i64 = 24 * 60 * 60 * 1_000;

/// No request takes longer: one that is not heard of after that has lost its end.
const LONGEST_MS: i64 = 60 * 1_000;

/// What is kept of an answer beside its body.
const HEADERS: [HeaderName; 3] = [CONTENT_TYPE, ETAG, LOCATION];

pub(crate) async fn once(here: &Here, caller: &Caller, request: Request, next: Next) -> Result<Response, Problem> {
    let Some(key) = one(request.headers(), &KEY)?.map(str::to_owned) else { return Ok(next.run(request).await) };
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Problem::invalid("Idempotency-Key", format!("has from 1 to {MAX_KEY} characters")));
    }
    let (parts, body) = request.into_parts();
    media(&parts)?;
    let body = read(body).await?;
    let mut digest = Sha256::new();
    digest.update(parts.method.as_str());
    digest.update(parts.uri.to_string());
    digest.update([0]);
    digest.update(&body);
    let digest = STANDARD_NO_PAD.encode(digest.finalize());
    let (now, who) = (here.now(), &*caller.name);
    here.store.sweep_idempotency(now - KEPT_MS).await?;
    match here.store.claim(who, &key, &digest, now).await? {
        Claim::Yours => {}
        Claim::Busy { since_ms } if now.saturating_sub(since_ms) < LONGEST_MS => {
            return Err(Problem::new(Code::InProgress, "wait for its answer, or use another key"));
        }
        Claim::Busy { .. } => {
            let detail = "nobody knows how it ended: look whether it was carried out, and use another key if not";
            return Err(Problem::new(Code::InProgress, detail));
        }
        Claim::Other => return Err(Problem::new(Code::KeyReused, "a key is for one request: use another one")),
        Claim::Answered(answer) => return replay(caller, &key, &answer),
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let code = response.extensions().get::<Code>().copied();
    // What is not in force here yet was carried out all the same: whoever repeats it is told the same.
    if !response.status().is_success() && code != Some(Code::NotApplied) {
        // Where nobody knows whether it was, the key stays taken: nothing is carried out twice.
        if !matches!(code, Some(Code::StoreUnavailable | Code::Timeout)) {
            here.store.unclaim(who, &key).await?;
        }
        return Ok(response);
    }
    let (parts, body) = response.into_parts();
    let body = read(body).await?;
    let headers = HEADERS.iter().map(|name| parts.headers.get(name).and_then(|value| value.to_str().ok()));
    let headers: Vec<&str> = headers.map(Option::unwrap_or_default).collect();
    let kept = Answer { status: parts.status.as_u16(), body: seal(caller, &key, &headers.join("\n"), &body)? };
    if let Err(error) = here.store.answer(who, &key, &kept).await {
        // It is done, and said; only a repetition will not be told the same.
        tracing::error!(%error, "an answer is not kept for its idempotency key");
    }
    Ok(Response::from_parts(parts, Body::from(body)))
}

fn replay(caller: &Caller, key: &str, kept: &Answer) -> Result<Response, Problem> {
    let other = || Problem::new(Code::KeyReused, "it was carried out for another login of yours, which got the answer");
    let whole = open(caller, key, &kept.body).ok_or_else(other)?;
    let mut parts = whole.splitn(HEADERS.len() + 1, |byte| *byte == b'\n');
    let headers: Vec<&[u8]> = parts.by_ref().take(HEADERS.len()).collect();
    let body = parts.next().unwrap_or_default().to_vec();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    for (name, value) in HEADERS.into_iter().zip(headers) {
        if let (false, Ok(value)) = (value.is_empty(), HeaderValue::from_bytes(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

fn sealing(caller: &Caller) -> Option<RandomizedNonceKey> {
    let key = Sha256::digest(format!("toolgate kept answer\n{}", caller.shown.secret()));
    RandomizedNonceKey::new(&AES_256_GCM, &key).ok()
}

/// Three lines of headers, and the body.
fn seal(caller: &Caller, key: &str, headers: &str, body: &[u8]) -> Result<String, Problem> {
    let failed = || Problem::new(Code::Internal, "the answer cannot be sealed");
    let mut sealed = [headers.as_bytes(), b"\n", body].concat();
    let nonce = sealing(caller).ok_or_else(failed)?.seal_in_place_append_tag(Aad::from(key.as_bytes()), &mut sealed);
    let nonce = nonce.map_err(|_| failed())?;
    sealed.extend_from_slice(nonce.as_ref());
    Ok(STANDARD_NO_PAD.encode(sealed))
}

fn open(caller: &Caller, key: &str, kept: &str) -> Option<Vec<u8>> {
    let mut sealed = STANDARD_NO_PAD.decode(kept).ok()?;
    let nonce = sealed.split_off(sealed.len().checked_sub(NONCE_LEN)?);
    let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
    Some(sealing(caller)?.open_in_place(nonce, Aad::from(key.as_bytes()), &mut sealed).ok()?.to_vec())
}
