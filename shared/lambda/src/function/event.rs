//! Events of HTTP requests, reduced to the members that are used. Every member is optional, since
//! some sender leaves it out or sends null.

use std::collections::HashMap;

use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

/// The event that an HTTP function is invoked with.
#[derive(Debug)]
pub enum Event {
    /// A request.
    Http(Box<HttpEvent>),
    /// An event that is not a request.
    Other(Value),
}

/// A request in the format of API Gateway (REST and HTTP APIs), function URLs or load balancers:
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html>,
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/set-up-lambda-proxy-integrations.html>,
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/lambda-functions.html>.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HttpEvent {
    pub(super) http_method: Option<String>,
    pub(super) path: Option<String>,
    pub(super) raw_path: Option<String>,
    /// The route, as it was configured: `/v1/verifications/{id}` or `/{proxy+}`.
    pub(super) resource: Option<String>,
    /// The method and the route, or `$default`.
    pub(super) route_key: Option<String>,
    pub(super) path_parameters: Option<Single>,
    pub(super) raw_query_string: Option<String>,
    pub(super) query_string_parameters: Option<Single>,
    pub(super) multi_value_query_string_parameters: Option<Multiple>,
    pub(super) headers: Option<Single>,
    pub(super) multi_value_headers: Option<Multiple>,
    #[serde(default)]
    pub(super) request_context: Context,
    pub(super) body: Option<String>,
    pub(super) is_base64_encoded: Option<bool>,
    /// Present in events for authorizers, which carry no request.
    #[serde(alias = "routeArn")]
    method_arn: Option<IgnoredAny>,
}

/// One value for each name.
pub(super) type Single = HashMap<String, Option<String>>;

/// All values for each name.
pub(super) type Multiple = HashMap<String, Option<Vec<String>>>;

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Context {
    pub(super) stage: Option<String>,
    pub(super) path: Option<String>,
    http: Option<Http>,
    identity: Option<Identity>,
    elb: Option<IgnoredAny>,
    /// Present in events of WebSockets.
    connection_id: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Http {
    method: Option<String>,
    source_ip: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    source_ip: Option<String>,
}

/// The format of response that the sender of an event understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// REST APIs, and HTTP APIs with payloads of version 1.0.
    One,
    /// HTTP APIs, and function URLs.
    Two,
    /// Load balancers; `multiple` if multi-value headers are enabled for the target group.
    LoadBalancer { multiple: bool },
}

impl<'de> Deserialize<'de> for Event {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let event = Box::<RawValue>::deserialize(deserializer)?;
        match serde_json::from_str::<Box<HttpEvent>>(event.get()) {
            Ok(http) if http.is_request() => Ok(Self::Http(http)),
            _ => {
                serde_json::from_str(event.get()).map(Self::Other).map_err(serde::de::Error::custom)
            }
        }
    }
}

impl HttpEvent {
    fn is_request(&self) -> bool {
        let foreign = self.method_arn.is_some() || self.request_context.connection_id.is_some();
        !foreign && !self.method().is_empty() && (self.path.is_some() || self.raw_path.is_some())
    }

    pub(super) fn form(&self) -> Form {
        let context = &self.request_context;
        match (&context.elb, &context.http) {
            (Some(_), _) => Form::LoadBalancer { multiple: self.multi_value_headers.is_some() },
            (None, Some(_)) => Form::Two,
            (None, None) => Form::One,
        }
    }

    pub(super) fn method(&self) -> &str {
        let of_context = self.request_context.http.as_ref().and_then(|http| http.method.as_deref());
        of_context.or(self.http_method.as_deref()).unwrap_or_default()
    }

    /// The address from which the gateway was called.
    pub(super) fn source_ip(&self) -> Option<&str> {
        let Context { http, identity, .. } = &self.request_context;
        let of_http = http.as_ref().and_then(|http| http.source_ip.as_deref());
        of_http.or_else(|| identity.as_ref()?.source_ip.as_deref())
    }
}
