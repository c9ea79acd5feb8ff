//! SMS gateways, chosen by `SMS_DSN`, and the routes to them.
//!
//! A gateway is one file in `vendors/`: it reads its options from the DSN, makes one call,
//! classifies failures, and reads the delivery reports that its vendor posts. It never retries by
//! itself: the queue does. `routing.rs` decides which gateways a message is offered to, and in
//! which order.
//!
//! It may use HTTP clients, AWS's SDK and the domain's values, and knows no store and no queue. The
//! application uses it.

pub mod account;
mod codes;
pub mod delivery_report;
pub mod gateway;
mod routing;
pub mod send_error;
mod template_ids;
mod vendors;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use sms_domain::phone::PhoneNumber;
use sms_outbound::blocking::run_on_own_thread;
use sms_outbound::dsn::DsnError;
use sms_outbound::http_client;

use self::account::Account;
use self::delivery_report::{Callback, DeliveryReport, DeliveryReportError};
use self::routing::Routes;
pub use self::vendors::inbox::{Inbox, InboxMessage};

/// Error in an `SMS_DSN`. It names parts, never their secret values.
#[derive(Debug, thiserror::Error)]
pub enum SmsDsnError {
    /// Error in one of its DSNs.
    #[error(transparent)]
    Dsn(#[from] DsnError),
    /// The scheme names no gateway.
    #[error("has an unknown gateway {0}:// (docs/reference/gateways.md lists them)")]
    Scheme(String),
    /// The routes around the DSNs contradict each other.
    #[error("{0}")]
    Route(&'static str),
}

/// The configured gateways, and the routes to them.
///
/// ```
/// use sms_domain::phone::{PhoneNumber, Region};
/// use sms_gateways::Gateways;
///
/// let gateways = Gateways::from_dsn(
///     "+86=failover(null://default || inbox+http://127.0.0.1:8080); \
///      *=inbox+http://127.0.0.1:8080",
/// )?;
/// let names = |number: &str| -> Result<Vec<&str>, Box<dyn std::error::Error>> {
///     let number = PhoneNumber::parse(number, Region::default())?;
///     Ok(gateways.accounts(&number, "").into_iter().map(|account| account.name()).collect())
/// };
/// assert_eq!(names("+8613800138000")?, ["null", "inbox"]);
/// assert_eq!(names("+447400123456")?, ["inbox"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Gateways(Arc<Routes>);

impl fmt::Debug for Gateways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all().iter().map(|account| &account.gateway)).finish()
    }
}

/// Lists the gateways by name, with the host if that is not the vendor's own.
impl fmt::Display for Gateways {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, account) in self.all().into_iter().enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            f.write_str(account.name())?;
            if !account.host.is_empty() {
                write!(f, " ({})", account.host)?;
            }
        }
        Ok(())
    }
}

impl Gateways {
    /// Timeout of a call to a gateway, connection included.
    pub const TIMEOUT: Duration = http_client::TOTAL_TIMEOUT;

    /// Reads an `SMS_DSN`: one DSN, `failover(a || b)`, `roundrobin(a && b)`, or one of these for
    /// each country, `+86=ccp://…; *=twilio://…`.
    ///
    /// # Errors
    /// [`SmsDsnError`] says which part is missing or wrong, without quoting a credential.
    pub fn from_dsn(text: &str) -> Result<Self, SmsDsnError> {
        Ok(Self(Arc::new(Routes::parse(text)?)))
    }

    /// Routes all messages to an inbox in this process.
    #[must_use]
    pub fn inbox(inbox: Inbox) -> Self {
        Self(Arc::new(Routes::to(Account::inbox(Box::new(inbox)))))
    }

    /// Loads in advance what the first message would otherwise wait for, such as the system's
    /// certificates.
    pub async fn warm_up(&self) {
        let this = self.clone();
        run_on_own_thread(async move {
            join_all(this.all().iter().map(|account| account.gateway.warm_up())).await
        })
        .await;
    }

    /// The gateways for a message, in the order in which to try them; empty if no route matches its
    /// number.
    #[must_use]
    pub fn accounts(&self, to: &PhoneNumber, idempotency_key: &str) -> Vec<&Account> {
        self.0.accounts(to, idempotency_key)
    }

    /// The first gateway whose templates reject a code of `digits` digits, and their maximum.
    #[must_use]
    pub fn too_long_for(&self, digits: usize) -> Option<(&str, usize)> {
        let limited = |account| -> Option<(&str, usize)> {
            let account: &Account = account;
            Some((account.name(), account.gateway.max_digits()?))
        };
        self.all().into_iter().filter_map(limited).find(|(_, max)| digits > *max)
    }

    /// All gateways.
    #[must_use]
    pub fn all(&self) -> Vec<&Account> {
        self.0.all()
    }

    /// Reads the delivery reports of a vendor's callback. `name` is the gateway's name; with
    /// several accounts there, the callback has to be authentic for one of them.
    ///
    /// # Errors
    /// [`DeliveryReportError`] if the callback yields no reports.
    pub fn delivery_reports(
        &self,
        name: &str,
        callback: &Callback<'_>,
    ) -> Result<Vec<DeliveryReport>, DeliveryReportError> {
        let mut result = Err(DeliveryReportError::NotEnabled);
        for account in self.all().into_iter().filter(|account| account.name() == name) {
            match account.gateway.delivery_reports(callback) {
                Err(DeliveryReportError::NotEnabled) => {}
                Err(DeliveryReportError::NotAuthentic) => {
                    result = Err(DeliveryReportError::NotAuthentic);
                }
                decided => return decided,
            }
        }
        result
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_dsn_says_what_is_wrong_and_shows_no_secret() {
        for (dsn, problem) in [
            ("", "is not a URL"),
            ("smtp://u:hunter2@h", "smtp://"),
            ("ccp://h:8883?app_id=A&template=1", "lacks the user"),
            ("ccp://sid@h:8883?app_id=A&template=1", "lacks the password"),
            ("ccp://sid:hunter2@?app_id=A&template=1", "is not a URL"),
            ("ccp://sid:hunter2@h?app_id=A", "lacks template"),
            ("ccp://sid:hunter2@h?app_id=A&template=1&tempalte=2", "unknown option tempalte"),
            ("ccp://sid:hunter2@h?app_id=A&template=1&tls=maybe", "wrong value for tls"),
            ("ccp://sid:hunter2@example.com?app_id=A&template=1&tls=false", "on this machine only"),
            ("ccp://sid:hunter2@h?app_id=A&template=1&utc_offset=99", "wrong value for utc_offset"),
            ("inbox+http://example.com:8080", "on this machine only"),
            (
                "ccp://sid:hunter2@h?app_id=A&template=1&template.a.b.c=2",
                "unknown option template.a.b.c",
            ),
            ("ccp://sid:hunter2@h?app_id=A&template=1&rate=0", "wrong value for rate"),
            ("ccp://sid:hunter2@h?app_id=A&template=1&receipts=short", "wrong value for receipts"),
            ("ccp://sid:hunter2@h?app_id=%ff&template=1", "not percent-encoded"),
            ("aliyun://key:hunter2@default?template=1", "lacks sign"),
            ("tencent://id:hunter2@default?sign=S&template=1", "lacks app_id"),
            ("twilio://sid:hunter2@default", "lacks from"),
            (
                "twilio://sid:hunter2@default?from=+15005550006&callback=no",
                "wrong value for callback",
            ),
            (
                "twilio://SK00112233445566778899aabbccddeeff:hunter2@default?from=+15005550006",
                "lacks account",
            ),
            (
                "twilio://AC1:hunter2@default?from=+15005550006&shared_key=hunter2",
                "wrong value for shared_key",
            ),
            ("twilio://AC1:hunter2@default?from=+15005550006&shared_key=id:a", "lacks callback"),
            (
                "twilio://AC1:hunter2@default?from=+15005550006&callback=https://h/&shared_key=id:a\
                 &hunter2",
                "%26",
            ),
            ("aws://default", "lacks origination"),
            ("webhook+https://example.com/sms", "lacks the password"),
            ("webhook+http://:hunter2hunter2hunter2@example.com/sms", "on this machine only"),
            ("failover(ccp://sid:hunter2@h?app_id=A&template=1 || smtp://u:hunter2@h)", "smtp://"),
        ] {
            let error = Gateways::from_dsn(dsn).map(|_| ()).expect_err(dsn);
            let shown = format!("{error} {error:?}");
            assert!(error.to_string().contains(problem), "{dsn}: {error}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
        let dsn = "ccp://sid:hunter2@127.0.0.1:1?app_id=A&template=1&tls=false";
        assert!(!format!("{:?}", Gateways::from_dsn(dsn)).contains("hunter2"));
    }

    #[test]
    fn a_closed_circuit_is_believed_until_a_call_fails() {
        let account = Account::from_dsn("null://default").expect("a gateway");
        assert!(!account.is_known_closed(), "nobody has asked yet");
        account.granted(true);
        assert!(!account.is_known_closed(), "the store waits for the outcome of a trial");
        account.granted(false);
        assert!(account.is_known_closed());
        account.failed();
        assert!(!account.is_known_closed());
        let limited = Account::from_dsn("null://default?rate=5").expect("a gateway");
        limited.granted(false);
        assert!(!limited.is_known_closed(), "a rate counts every message");
    }

    #[test]
    fn gateways_are_shown_by_name_and_host() {
        let shown = |dsn| Gateways::from_dsn(dsn).map(|provider| provider.to_string()).expect(dsn);
        assert_eq!(shown("inbox+http://[::1]:8080"), "inbox ([::1]:8080)");
        let ccp = "ccp://sid:hunter2@app.cloopen.com:8883?app_id=A&template=1";
        let both = format!("failover({ccp} || twilio://AC1:hunter2@default?from=+15005550006)");
        assert_eq!(shown(&both), "ccp (app.cloopen.com:8883), twilio");
    }

    #[test]
    fn the_gateway_that_sends_nothing_has_no_options() {
        assert!(Gateways::from_dsn("null://default").is_ok());
        assert!(Gateways::from_dsn("null://default?template=1").is_err());
    }
}
