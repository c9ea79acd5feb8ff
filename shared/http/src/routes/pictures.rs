//! `GET /v1/pictures/{uuid}`, and `/image_codes/{uuid}/` for the tutorial's pages: the picture of a
//! challenge, with `CHALLENGE=picture`.

use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use sms_app::challenge::Challenge;
use sms_domain::picture_id::PictureId;
use sms_store::Store;

#[cfg(test)]
use crate::document;
use crate::problem::Problem;

/// The routes.
pub fn router(store: Store, challenge: Option<Challenge>) -> Router {
    routes().with_state((store, challenge))
}

type Api = (Store, Option<Challenge>);

routes! {
    Api;
    "/v1/pictures/{uuid}": get(picture);
    "/image_codes/{uuid}/": get(picture);
    "/image_codes/{uuid}": get(picture);
}

/// A picture to be read
#[cfg_attr(test, utoipa::path(
    get,
    path = "/v1/pictures/{uuid}",
    operation_id = "getPicture",
    tag = "verifications",
    params(document::Uuid),
    responses(
        (
            status = 200,
            description = "Four characters, kept for 300 s under this UUID; with \
                `CHALLENGE=picture`.",
            body = document::Picture,
            content_type = "image/png",
        ),
        (status = 404, response = document::NoPicture),
        (status = 503, response = document::ServiceUnavailable),
    ),
))]
pub(crate) async fn picture(
    State((store, challenge)): State<Api>,
    uuid: Result<Path<String>, PathRejection>,
) -> Result<Response, Problem> {
    let uuid = uuid.ok().and_then(|Path(uuid)| PictureId::parse(&uuid));
    let (Some(uuid), Some(challenge)) = (uuid, challenge) else { return Err(Problem::NoSuchPath) };
    let png = challenge.picture(&uuid, &store).await?.ok_or(Problem::NoSuchPath)?;
    Ok(([(CONTENT_TYPE, "image/png")], png).into_response())
}

/// A picture, at the tutorial's path
#[cfg(test)]
#[utoipa::path(
    get,
    path = "/image_codes/{uuid}/",
    operation_id = "getImageCode",
    tag = "tutorial",
    params(document::Uuid),
    responses(
        (
            status = 200,
            description = "The picture of `/v1/pictures/{uuid}`.",
            body = document::Picture,
            content_type = "image/png",
        ),
        (status = 404, response = document::NoPicture),
        (status = 503, response = document::ServiceUnavailable),
    ),
)]
#[expect(dead_code, reason = "`picture` serves it: this describes it")]
pub(crate) fn image_code() {}
