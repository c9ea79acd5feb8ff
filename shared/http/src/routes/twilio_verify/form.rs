//! Form-encoded bodies with their parameters, and the SIDs in paths.

use axum::extract::{FromRequest, FromRequestParts, Path, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use tokio::time::timeout;
use url::form_urlencoded;

use super::error::VerifyError;
use crate::extract::json::{is_encoded, read};
use crate::routes::meiduo::is_of_another_site;
use crate::{BODY_TIMEOUT, MAX_BODY};

/// The parameters of a request's body.
pub(crate) struct Form(Vec<(String, String)>);

impl Form {
    /// A parameter; `None` if it is missing or empty.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(given, _)| given == name);
        found.map(|(_, value)| value.as_str()).filter(|value| !value.is_empty())
    }

    /// Fails if one of these parameters is there.
    pub(super) fn refuse(&self, names: &[&'static str]) -> Result<(), VerifyError> {
        let given = names.iter().find(|name| self.get(name).is_some());
        given.map_or(Ok(()), |name| Err(VerifyError::Parameter(name)))
    }
}

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = VerifyError;

    async fn from_request(request: Request, _: &S) -> Result<Self, VerifyError> {
        // A browser sends the password that it was told once with forms of any page.
        if is_of_another_site(request.headers()) {
            return Err(VerifyError::Credentials);
        }
        if is_encoded(request.headers()) {
            return Err(VerifyError::Parameter("Content-Encoding"));
        }
        let body = timeout(BODY_TIMEOUT, read(request.into_body(), MAX_BODY)).await;
        let body = body.map_err(|_| VerifyError::Parameter("body"))??;
        let owned = |(name, value): (_, _)| (String::from(name), String::from(value));
        Ok(Self(form_urlencoded::parse(&body).map(owned).collect()))
    }
}

/// The parameters of a new verification. Others are refused or change nothing.
#[cfg(test)]
#[expect(dead_code, reason = "for the document")]
#[derive(utoipa::ToSchema)]
#[schema(as = CreateTwilioVerification, rename_all = "PascalCase")]
pub(crate) struct CreateForm {
    /// With `+`
    #[schema(example = "+8613800138000")]
    to: String,
    /// `sms`
    #[schema(example = "sms")]
    channel: String,
    locale: Option<String>,
    /// One of `ANDROID_APP_HASHES`
    app_hash: Option<String>,
    /// The address of the person, which limits are counted for
    device_ip: Option<String>,
}

/// The parameters of a check: `Code`, and one of the others.
#[cfg(test)]
#[expect(dead_code, reason = "for the document")]
#[derive(utoipa::ToSchema)]
#[schema(as = CheckTwilioVerification, rename_all = "PascalCase")]
pub(crate) struct CheckForm {
    #[schema(example = "012345")]
    code: String,
    #[schema(example = "+8613800138000")]
    to: Option<String>,
    verification_sid: Option<String>,
}

/// The parameters of a change.
#[cfg(test)]
#[expect(dead_code, reason = "for the document")]
#[derive(utoipa::ToSchema)]
#[schema(as = UpdateTwilioVerification, rename_all = "PascalCase")]
pub(crate) struct UpdateForm {
    /// `canceled` or `approved`
    #[schema(example = "canceled")]
    status: String,
}

/// What stands in a path. Text that is not UTF-8 names nothing.
pub(crate) struct InPath<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for InPath<T> {
    type Rejection = VerifyError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, VerifyError> {
        let path = Path::from_request_parts(parts, state).await;
        path.map(|Path(value)| Self(value)).map_err(|_| VerifyError::NotFound)
    }
}
