//! The resources under `/api/v1`, a file each, and the router that they make.

mod admins;
mod agents;
mod approvals;
mod audit;
mod credentials;
mod events;
mod grants;
mod login;
mod me;
mod meta;
mod policies;
mod servers;
mod settings;
mod sheet;
mod tokens;
mod versions;

use std::sync::Arc;

use axum::Router;
use axum::middleware::{from_fn, from_fn_with_state};
use utoipa::openapi::OpenApi;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::guard::guard;
use crate::here::Here;
use crate::problem::{Code, Problem, ProblemBody};
use crate::reply::finish;

#[derive(utoipa::OpenApi)]
#[openapi(components(schemas(ProblemBody)))]
struct Base;

pub(crate) fn described() -> OpenApiRouter<Arc<Here>> {
    use utoipa::OpenApi as _;
    OpenApiRouter::with_openapi(Base::openapi())
        .routes(routes!(meta::openapi))
        .routes(routes!(login::login))
        .routes(routes!(login::logout))
        .routes(routes!(me::me))
        .routes(routes!(admins::create_own_token))
        .routes(routes!(servers::list))
        .routes(routes!(servers::get, servers::put, servers::delete))
        .routes(routes!(servers::health))
        .routes(routes!(agents::list))
        .routes(routes!(agents::get, agents::put, agents::delete))
        .routes(routes!(tokens::list, tokens::create))
        .routes(routes!(tokens::get, tokens::revoke))
        .routes(routes!(tokens::rotate))
        .routes(routes!(policies::list))
        .routes(routes!(policies::get, policies::put, policies::delete))
        .routes(routes!(policies::check))
        .routes(routes!(policies::diff))
        .routes(routes!(versions::list, versions::create))
        .routes(routes!(versions::get))
        .routes(routes!(versions::activate))
        .routes(routes!(approvals::list))
        .routes(routes!(approvals::get))
        .routes(routes!(approvals::approve))
        .routes(routes!(approvals::deny))
        .routes(routes!(approvals::grant))
        .routes(routes!(grants::list))
        .routes(routes!(grants::get, grants::revoke))
        .routes(routes!(credentials::list))
        .routes(routes!(credentials::get, credentials::put, credentials::delete))
        .routes(routes!(settings::list))
        .routes(routes!(settings::get, settings::put, settings::delete))
        .routes(routes!(admins::list))
        .routes(routes!(admins::get, admins::put, admins::delete))
        .routes(routes!(admins::tokens, admins::create_token))
        .routes(routes!(admins::delete_token))
        .routes(routes!(admins::create_link))
        .routes(routes!(audit::query))
        .routes(routes!(audit::status))
        .routes(routes!(events::events))
}

pub(crate) fn router(here: &Arc<Here>) -> (Router, OpenApi) {
    let (router, described) = described().split_for_parts();
    let router = router
        .route("/login", axum::routing::get(meta::page))
        .route("/login.js", axum::routing::get(meta::script))
        .route("/approvals/{id}", axum::routing::get(sheet::page).post(sheet::say))
        .route("/approvals/{id}/look", axum::routing::get(sheet::look_by_hand).post(sheet::look))
        .route("/approval.css", axum::routing::get(sheet::style))
        .route("/approval.js", axum::routing::get(sheet::script))
        .route_layer(from_fn_with_state(Arc::clone(here), guard))
        .fallback(|| async { Problem::new(Code::NotFound, "there is no such address") })
        .layer(from_fn(finish))
        .with_state(Arc::clone(here));
    (router, described)
}
