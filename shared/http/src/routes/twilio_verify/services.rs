//! The services of the façade: from the configuration, to be read only.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sms_domain::quota::Scope;
use sms_domain::verification_id::Purpose;

use super::error::VerifyError;
use super::form::InPath;
use super::{EPOCH, VerifyApi};
use crate::extract::caller::Caller;

/// `TWILIO_VERIFY_SERVICES`: the services, each with the purpose of its verifications.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyServices(Arc<[VerifyService]>);

/// A service of the façade.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct VerifyService {
    /// `VA` and 32 hexadecimal digits.
    pub(super) sid: String,
    pub(super) purpose: Purpose,
}

impl VerifyService {
    fn is(&self, sid: &str) -> bool {
        self.sid.eq_ignore_ascii_case(sid)
    }
}

impl VerifyServices {
    /// Reads `VA…=login,VA…=`: a purpose may be empty. `None` if an entry does not have that form,
    /// or a SID occurs twice.
    #[must_use]
    pub fn parse(list: &str) -> Option<Self> {
        let mut services: Vec<VerifyService> = Vec::new();
        for item in list.split(',').map(str::trim).filter(|item| !item.is_empty()) {
            let (sid, purpose) = item.split_once('=')?;
            let purpose = Purpose::parse(purpose)?;
            if !is_sid(sid, "VA") || services.iter().any(|other| other.is(sid)) {
                return None;
            }
            services.push(VerifyService { sid: sid.to_owned(), purpose });
        }
        Some(Self(services.into()))
    }

    /// True if there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, sid: &str) -> Result<&VerifyService, VerifyError> {
        self.0.iter().find(|service| service.is(sid)).ok_or(VerifyError::NotFound)
    }
}

/// True for these two letters and 32 hexadecimal digits.
pub(super) fn is_sid(text: &str, letters: &str) -> bool {
    text.strip_prefix(letters).is_some_and(|digits| {
        digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// A SID that is the same for the same text.
pub(super) fn sid_of(letters: &str, text: &str) -> String {
    format!("{letters}{}", hex::encode(&Sha256::digest(text)[..16]))
}

/// A service, as its callers see it
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = TwilioService))]
pub(crate) struct ServiceBody {
    sid: String,
    account_sid: String,
    /// The purpose
    friendly_name: String,
    /// Digits of a code
    code_length: usize,
    lookup_enabled: bool,
    psd2_enabled: bool,
    skip_sms_to_landlines: bool,
    dtmf_input_required: bool,
    do_not_share_warning_enabled: bool,
    custom_code_enabled: bool,
    tts_name: Option<String>,
    default_template_sid: Option<String>,
    /// Not kept: 1970
    date_created: &'static str,
    date_updated: &'static str,
    url: String,
}

/// A list that has one page
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = TwilioServices))]
pub(crate) struct ServiceList {
    services: Vec<ServiceBody>,
    meta: Meta,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = TwilioMeta))]
pub(crate) struct Meta {
    page: u32,
    page_size: usize,
    first_page_url: String,
    previous_page_url: Option<String>,
    url: String,
    next_page_url: Option<String>,
    key: &'static str,
}

impl Meta {
    fn of(key: &'static str, path: &str, count: usize) -> Self {
        Self {
            page: 0,
            page_size: count,
            first_page_url: path.to_owned(),
            previous_page_url: None,
            url: path.to_owned(),
            next_page_url: None,
            key,
        }
    }
}

/// `LIMITS`, a scope each
#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = TwilioRateLimits))]
pub(crate) struct RateLimitList {
    rate_limits: Vec<RateLimitBody>,
    meta: Meta,
}

#[derive(Serialize)]
#[cfg_attr(test, derive(utoipa::ToSchema), schema(as = TwilioRateLimit))]
pub(crate) struct RateLimitBody {
    sid: String,
    service_sid: String,
    account_sid: String,
    /// The scope
    unique_name: String,
    /// Its windows
    description: String,
    date_created: &'static str,
    date_updated: &'static str,
    url: String,
}

impl VerifyApi {
    fn service(&self, service: &VerifyService, account: &str) -> ServiceBody {
        ServiceBody {
            sid: service.sid.clone(),
            account_sid: account.to_owned(),
            friendly_name: service.purpose.as_str().to_owned(),
            code_length: self.check_code.codes.length.digits(),
            lookup_enabled: false,
            psd2_enabled: false,
            skip_sms_to_landlines: true,
            dtmf_input_required: false,
            do_not_share_warning_enabled: false,
            custom_code_enabled: false,
            tts_name: None,
            default_template_sid: None,
            date_created: EPOCH,
            date_updated: EPOCH,
            url: format!("/v2/Services/{}", service.sid),
        }
    }
}

/// List services
#[cfg_attr(test, utoipa::path(
    get,
    path = "/v2/Services",
    operation_id = "twilioListServices",
    tag = "twilio verify",
    security(("basic" = [])),
    responses(
        (status = 200, description = "All of them.", body = ServiceList),
        (status = 401, description = "20003"),
    ),
))]
pub(crate) async fn list(
    State(api): State<Arc<VerifyApi>>,
    caller: Caller,
) -> Result<Json<ServiceList>, VerifyError> {
    let account = caller.account(&api.callers)?;
    let services: Vec<_> =
        api.services.0.iter().map(|service| api.service(service, &account.sid)).collect();
    let meta = Meta::of("services", "/v2/Services", services.len());
    Ok(Json(ServiceList { services, meta }))
}

/// Read a service
#[cfg_attr(test, utoipa::path(
    get,
    path = "/v2/Services/{service}",
    operation_id = "twilioFetchService",
    tag = "twilio verify",
    security(("basic" = [])),
    params(("service" = String, Path, description = "`VA…`")),
    responses(
        (status = 200, description = "The service.", body = ServiceBody),
        (status = 401, description = "20003"),
        (status = 404, description = "20404"),
    ),
))]
pub(crate) async fn fetch(
    State(api): State<Arc<VerifyApi>>,
    InPath(service): InPath<String>,
    caller: Caller,
) -> Result<Json<ServiceBody>, VerifyError> {
    let account = caller.account(&api.callers)?;
    Ok(Json(api.service(api.services.get(&service)?, &account.sid)))
}

/// List rate limits
#[cfg_attr(test, utoipa::path(
    get,
    path = "/v2/Services/{service}/RateLimits",
    operation_id = "twilioListRateLimits",
    tag = "twilio verify",
    security(("basic" = [])),
    params(("service" = String, Path, description = "`VA…`")),
    responses(
        (status = 200, description = "Those of `LIMITS`.", body = RateLimitList),
        (status = 401, description = "20003"),
        (status = 404, description = "20404"),
    ),
))]
pub(crate) async fn rate_limits(
    State(api): State<Arc<VerifyApi>>,
    InPath(service): InPath<String>,
    caller: Caller,
) -> Result<Json<RateLimitList>, VerifyError> {
    let account = caller.account(&api.callers)?;
    let service = api.services.get(&service)?;
    let path = format!("/v2/Services/{}/RateLimits", service.sid);
    let limit = |scope: Scope| {
        let windows: Vec<_> = api
            .check_code
            .limits
            .of(scope)
            .map(|window| format!("{} in {} s", window.max, window.period.as_secs()))
            .collect();
        let sid = sid_of("RK", &[&service.sid, scope.as_str()].concat());
        (!windows.is_empty()).then(|| RateLimitBody {
            url: format!("{path}/{sid}"),
            sid,
            service_sid: service.sid.clone(),
            account_sid: account.sid.clone(),
            unique_name: scope.as_str().to_owned(),
            description: windows.join(", "),
            date_created: EPOCH,
            date_updated: EPOCH,
        })
    };
    let rate_limits: Vec<_> = Scope::ALL.into_iter().filter_map(limit).collect();
    let meta = Meta::of("rate_limits", &path, rate_limits.len());
    Ok(Json(RateLimitList { rate_limits, meta }))
}
