//! Types of problems: the members that all problems of a type share: type, status, `code`, and the
//! keys of the texts.

use axum::http::StatusCode;
use sms_domain::locale::Locale;

use super::texts;

/// A type of problem.
pub(crate) struct ProblemKind {
    /// The end of its type, or the whole of a registered one.
    pub(crate) name: &'static str,
    pub(crate) status: StatusCode,
    /// The number in the tutorial's table.
    pub(crate) code: &'static str,
    /// The key of the tutorial's text, in `[errmsg]`.
    errmsg: &'static str,
}

impl ProblemKind {
    /// The name of the type's table in `templates/problems.*.toml`, and of its examples in the
    /// API's description.
    pub(crate) fn table(&self) -> &'static str {
        self.name.rsplit_once('#').map_or(self.name, |(_, end)| end)
    }

    pub(crate) fn title(&self, locale: Locale) -> &'static str {
        texts::find(locale, self.table(), "title").unwrap_or_default()
    }

    /// The tutorial's text; in a language without one, the title.
    pub(crate) fn errmsg(&self, locale: Locale) -> &'static str {
        texts::find(locale, "errmsg", self.errmsg).unwrap_or_else(|| self.title(locale))
    }
}

const fn kind(
    name: &'static str,
    status: StatusCode,
    code: &'static str,
    errmsg: &'static str,
) -> ProblemKind {
    ProblemKind { name, status, code, errmsg }
}

pub(crate) const BAD_JSON: ProblemKind =
    kind("bad-json", StatusCode::BAD_REQUEST, "5006", "parameter");
pub(crate) const BAD_FIELD: ProblemKind =
    kind("bad-field", StatusCode::UNPROCESSABLE_ENTITY, "5006", "parameter");
pub(crate) const MISSING_FIELD: ProblemKind =
    kind("missing-field", StatusCode::UNPROCESSABLE_ENTITY, "4003", "missing");
pub(crate) const BAD_NUMBER: ProblemKind =
    kind("bad-number", StatusCode::UNPROCESSABLE_ENTITY, "4007", "number");
pub(crate) const COUNTRY: ProblemKind =
    kind("country-not-allowed", StatusCode::UNPROCESSABLE_ENTITY, "4007", "number");
pub(crate) const NOT_A_REQUEST: ProblemKind =
    kind("bad-request", StatusCode::BAD_REQUEST, "5006", "parameter");
pub(crate) const NOT_JSON: ProblemKind =
    kind("not-json", StatusCode::UNSUPPORTED_MEDIA_TYPE, "5006", "parameter");
pub(crate) const ENCODED: ProblemKind =
    kind("encoded", StatusCode::UNSUPPORTED_MEDIA_TYPE, "5006", "parameter");
pub(crate) const BAD_HOST: ProblemKind =
    kind("bad-host", StatusCode::BAD_REQUEST, "5006", "parameter");
pub(crate) const TOO_LARGE: ProblemKind =
    kind("too-large", StatusCode::PAYLOAD_TOO_LARGE, "5006", "parameter");
pub(crate) const TOO_SLOW: ProblemKind =
    kind("too-slow", StatusCode::REQUEST_TIMEOUT, "5006", "parameter");
pub(crate) const WRONG_CODE: ProblemKind =
    kind("wrong-code", StatusCode::UNPROCESSABLE_ENTITY, "4008", "code");
pub(crate) const CHALLENGE_REQUIRED: ProblemKind =
    kind("challenge-required", StatusCode::FORBIDDEN, "4001", "challenge-required");
pub(crate) const CHALLENGE_FAILED: ProblemKind =
    kind("challenge-failed", StatusCode::FORBIDDEN, "4001", "challenge-failed");
pub(crate) const PICTURE_FAILED: ProblemKind =
    ProblemKind { errmsg: "picture", ..CHALLENGE_FAILED };
pub(crate) const NOT_FOUND: ProblemKind = kind("gone", StatusCode::NOT_FOUND, "5003", "no-data");
pub(crate) const INVALID_SIGNATURE: ProblemKind =
    kind("not-authentic", StatusCode::FORBIDDEN, "5006", "parameter");
pub(crate) const UNAUTHORIZED: ProblemKind =
    kind("no-key", StatusCode::UNAUTHORIZED, "4101", "login");
pub(crate) const TOO_MANY_FAILURES: ProblemKind =
    kind("too-many-wrong-keys", StatusCode::TOO_MANY_REQUESTS, "4101", "login");
pub(crate) const BAD_IDEMPOTENCY_KEY: ProblemKind =
    kind("bad-idempotency-key", StatusCode::BAD_REQUEST, "5006", "parameter");
pub(crate) const IDEMPOTENCY_KEY_REUSED: ProblemKind =
    kind("idempotency-key-reused", StatusCode::UNPROCESSABLE_ENTITY, "5006", "parameter");
pub(crate) const IDEMPOTENCY_IN_PROGRESS: ProblemKind =
    kind("idempotency-key-at-work", StatusCode::CONFLICT, "4002", "in-progress");
pub(crate) const CROSS_SITE: ProblemKind =
    kind("cross-site", StatusCode::FORBIDDEN, "5006", "parameter");
pub(crate) const NO_SUCH_PATH: ProblemKind =
    kind("no-such-path", StatusCode::NOT_FOUND, "5003", "no-data");
pub(crate) const NO_SUCH_METHOD: ProblemKind =
    kind("no-such-method", StatusCode::METHOD_NOT_ALLOWED, "5006", "parameter");

/// Registered by draft-ietf-httpapi-ratelimit-headers in the IANA registry of problem types.
const QUOTA_EXCEEDED: &str = "https://iana.org/assignments/http-problem-types#quota-exceeded";

pub(crate) const TOO_MANY_REQUESTS: ProblemKind =
    kind(QUOTA_EXCEEDED, StatusCode::TOO_MANY_REQUESTS, "4002", "too-frequent");
pub(crate) const TOO_MANY_WRONG: ProblemKind =
    ProblemKind { errmsg: "too-many-wrong", ..TOO_MANY_REQUESTS };
pub(crate) const UNAVAILABLE: ProblemKind =
    kind("unavailable", StatusCode::SERVICE_UNAVAILABLE, "5000", "database");
