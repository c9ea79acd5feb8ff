//! `GET /v1/pictures/{uuid}`, and `/image_codes/{uuid}/` for the tutorial's pages: a picture that
//! has to be read before a code is sent, where `CHALLENGE` says so.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::problem::Problem;
use crate::challenge::{Challenge, PictureId};
use crate::store::Store;

/// The routes.
pub fn router(store: Store, challenge: Option<Challenge>) -> Router {
    Router::new()
        .route("/v1/pictures/{uuid}", get(picture))
        .route("/image_codes/{uuid}/", get(picture))
        .route("/image_codes/{uuid}", get(picture))
        .with_state((store, challenge))
}

async fn picture(
    State((store, challenge)): State<(Store, Option<Challenge>)>,
    uuid: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let uuid = uuid.ok().and_then(|Path(uuid)| PictureId::parse(&uuid));
    let (Some(uuid), Some(challenge)) = (uuid, challenge) else { return Err(Problem::NoSuchPath) };
    let png = challenge.picture(&uuid, &store).await?.ok_or(Problem::NoSuchPath)?;
    Ok(([(CONTENT_TYPE, "image/png")], png).into_response())
}
