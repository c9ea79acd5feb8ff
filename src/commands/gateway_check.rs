//! `gateway check`: calls each configured gateway once, and shows requests and responses.

use std::error::Error;
use std::net::SocketAddr;

use axum::routing::any;
use axum::{Json, Router};
use serde_json::json;
use sms_config::{environment, settings};
use sms_domain::code::{Code, CodeLength};
use sms_domain::locale::Locale;
use sms_domain::phone::{PhoneNumber, Region};
use sms_domain::random::random_bytes;
use sms_domain::verification::Policy;
use sms_domain::verification_id::Purpose;
use sms_gateways::Gateways;
use sms_gateways::account::Account;
use sms_gateways::gateway::Sms;

/// The recipient of messages to the stub.
const STUB_RECIPIENT: &str = "+8613800138000";

/// The code in the message, which belongs to no verification.
const CODE: &str = "012345";

/// Calls the gateways of this number; without a number, a local stub in place of each gateway,
/// which accepts every message.
#[expect(clippy::print_stdout, reason = "the command's result")]
pub async fn run(to: Option<String>) -> Result<(), Box<dyn Error>> {
    let dsn = settings::SMS_DSN.read(&environment).filter(|dsn| dsn != "inbox:");
    let dsn = dsn.ok_or_else(|| {
        format!("SMS_DSN names no gateway; for example {}", settings::SMS_DSN.assignment())
    })?;
    let gateways = Gateways::from_dsn(&dsn).map_err(|error| format!("SMS_DSN {error}"))?;
    let number = PhoneNumber::parse(to.as_deref().unwrap_or(STUB_RECIPIENT), Region::default());
    let sms = sms(&number.map_err(|error| format!("--to: {error}"))?)?;
    let (stub, accounts) = match &to {
        Some(_) => (None, gateways.accounts(&sms.to, &sms.idempotency_key)),
        None => (Some(stub().await?), gateways.all()),
    };
    if accounts.is_empty() {
        return Err(format!("SMS_DSN has no gateway for +{}", sms.to.country_code()).into());
    }
    let (count, mut failed) = (accounts.len(), 0);
    for account in accounts {
        failed += usize::from(!show(account, &sms, stub).await);
    }
    println!(
        "{} of {count} accepted{}",
        count - failed,
        if stub.is_some() { " by the stub" } else { "" }
    );
    if failed > 0 { Err("not every gateway accepted the message".into()) } else { Ok(()) }
}

/// Calls a gateway and prints the exchange. Returns true if it accepted the message.
#[expect(clippy::print_stdout, reason = "the command's result")]
async fn show(account: &Account, sms: &Sms, stub: Option<SocketAddr>) -> bool {
    let (result, exchanges) = account.send_with_transcript(sms, stub).await;
    println!("=== {}", account.name());
    for exchange in exchanges {
        println!("{}\n\n--> {}", exchange.request, exchange.response);
    }
    match &result {
        Ok(accepted) => {
            println!("\naccepted as {}\n", accepted.message_id.as_deref().unwrap_or("(no id)"));
        }
        Err(error) if error.meaning.is_empty() => {
            println!("\n{}: {}\n", error.class.as_str(), error.reason);
        }
        Err(error) => println!("\n{}: {}, {}\n", error.class.as_str(), error.reason, error.meaning),
    }
    result.is_ok()
}

fn sms(to: &PhoneNumber) -> Result<Sms, &'static str> {
    Ok(Sms {
        to: to.clone(),
        code: Code::parse(CODE, CodeLength::default()).ok_or("no code")?,
        locale: Locale::of(to),
        purpose: Purpose::default(),
        custom_text: None,
        autofill: None,
        lifetime: Policy::default().ttl,
        names_lifetime: true,
        idempotency_key: hex::encode(random_bytes::<16>()),
    })
}

/// Starts a stub whose response every gateway's client reads as acceptance.
async fn stub() -> Result<SocketAddr, std::io::Error> {
    let answer = json!({
        "statusCode": "000000", "templateSMS": { "smsMessageSid": "stub" },
        "Code": "OK", "BizId": "stub",
        "Response": { "SendStatusSet": [{ "Code": "Ok", "SerialNo": "stub" }] },
        "sid": "stub",
        "MessageId": "stub",
        "id": "stub",
    });
    let app: Router = Router::new().fallback(any(async move || Json(answer)));
    let listener = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    tokio::spawn(axum_server::from_tcp(listener)?.serve(app.into_make_service()));
    Ok(address)
}
