//! The inbox: the gateway of local mode. It keeps messages, for a page and for tests to read.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex};

use futures_util::future::{BoxFuture, FutureExt, ready};
use jiff::Timestamp;
use reqwest::StatusCode;
use serde::{Deserialize, Serialize};
use sms_domain::sync::lock;
use sms_domain::times;
use sms_outbound::dsn::{Dsn, DsnError};
use sms_outbound::http_client::{HttpClient, call};
use url::Url;

use crate::gateway::{Accepted, Gateway, Sms};
use crate::send_error::{SendError, status_error};

const NAME: &str = "inbox";

/// Meaning of a 404.
const HIDDEN: &str = "that API has no inbox, since others reach it (LISTEN, TRUSTED_PROXIES)";

/// Maximum number of messages; the oldest is dropped first.
const CAPACITY: usize = 1_000;

/// The messages, newest first.
#[derive(Clone, Default)]
pub struct Inbox(Arc<Mutex<VecDeque<InboxMessage>>>);

/// A message as `/inbox.json` shows it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InboxMessage {
    /// The number in E.164 form.
    pub to: String,
    /// The text as the phone shows it.
    pub text: String,
    /// The code within the text.
    pub code: String,
    /// The time at which it was sent.
    #[serde(serialize_with = "times::serialize")]
    pub at: Timestamp,
}

impl Inbox {
    /// Keeps a message.
    pub fn push(&self, message: InboxMessage) {
        let mut messages = lock(&self.0);
        messages.truncate(CAPACITY - 1);
        messages.push_front(message);
    }

    /// All messages, newest first.
    #[must_use]
    pub fn messages(&self) -> Vec<InboxMessage> {
        lock(&self.0).iter().cloned().collect()
    }
}

impl Gateway for Inbox {
    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        self.push(InboxMessage::from(sms));
        ready(Ok(Accepted::with_id(None))).boxed()
    }
}

impl From<&Sms> for InboxMessage {
    fn from(sms: &Sms) -> Self {
        Self {
            to: sms.to.e164().to_owned(),
            text: sms.text(),
            code: sms.code.expose().to_owned(),
            #[expect(
                clippy::disallowed_methods,
                reason = "a message bears the time at which it was sent"
            )]
            at: Timestamp::now(),
        }
    }
}

/// The inbox of another process: `inbox+http://127.0.0.1:8080`.
pub(crate) struct InboxClient {
    endpoint: Url,
    client: HttpClient,
}

pub(crate) fn from_dsn(dsn: Dsn) -> Result<InboxClient, DsnError> {
    let endpoint = dsn.inner_url()?.join("/inbox.json")?;
    dsn.finish()?;
    Ok(InboxClient { endpoint, client: HttpClient::default() })
}

impl Gateway for InboxClient {
    fn warm_up(&self) -> BoxFuture<'_, ()> {
        self.client.warm_up()
    }

    fn send<'a>(&'a self, sms: &'a Sms) -> BoxFuture<'a, Result<Accepted, SendError>> {
        async move {
            let request = self
                .client
                .post(self.endpoint.clone())
                .map_err(SendError::from_call(NAME))?
                .json(&InboxMessage::from(sms));
            let response = call(request).await.map_err(SendError::from_call(NAME))?;
            match response.status {
                status if status.is_success() => Ok(Accepted::with_id(None)),
                StatusCode::NOT_FOUND => {
                    Err(SendError { meaning: HIDDEN, ..status_error(NAME, &response) })
                }
                _ => Err(status_error(NAME, &response)),
            }
        }
        .boxed()
    }
}

impl fmt::Debug for InboxClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "InboxClient({})", self.endpoint)
    }
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbox")
    }
}

impl fmt::Debug for InboxMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InboxMessage(…)")
    }
}
