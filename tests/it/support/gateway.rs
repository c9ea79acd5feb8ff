//! The SMS vendor's stub: a real HTTP server that checks CCP's signature as CCP does, and answers
//! as it is told.

use std::collections::VecDeque;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::{Json, Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream::repeat_with;
use md5::{Digest, Md5};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::{eventually, unique};

/// Of a gateway that is not there.
const NOBODY: &str = "sid";
/// Its clients' password, which must stand nowhere else.
pub const TOKEN: &str = "gateway-token-5d1f";

/// The stub's answer to a call.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Accepted.
    Accept,
    /// Not accepted, with a status code of CCP.
    Refuse(&'static str),
    /// An HTTP status with something that is not CCP's.
    Http(u16),
    /// The connection breaks in the middle of the answer.
    Break,
    /// Accepted, after a while.
    AcceptAfter(Duration),
    /// Accepted, as soon as the test says so.
    AcceptWhen(watch::Receiver<bool>),
    /// Accepted, and then no answer comes.
    AcceptAndHang,
    /// Accepted, and then the connection breaks in the middle of the answer.
    AcceptAndBreak,
    /// Accepted, and the answer is something else.
    AcceptAndBabble,
    /// Not accepted: come again in this many seconds.
    TooMany(u64),
    /// An answer without an end.
    Flood,
    /// This status and these bytes.
    Raw(u16, Vec<u8>),
}

/// A call that the stub got.
#[derive(Debug, Clone)]
pub struct Call {
    pub at: Instant,
    pub to: String,
    pub code: String,
    pub request_id: String,
}

/// The stub.
#[derive(Clone, Default)]
pub struct Gateway {
    address: String,
    /// Its own: what a store knows of an account on a port that another gateway had before is not
    /// about this one.
    sid: String,
    state: Arc<Mutex<Script>>,
}

#[derive(Default)]
struct Script {
    /// The next answers; `always` when it is empty.
    next: VecDeque<Reply>,
    always: Option<Reply>,
    calls: Vec<Call>,
    accepted: Vec<Call>,
}

impl Gateway {
    /// Answers with `replies` one after the other, and then always with `always`.
    pub async fn start(replies: &[Reply], always: Reply) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        let script = Script {
            next: replies.iter().cloned().collect(),
            always: Some(always),
            ..Script::default()
        };
        let gateway = Self { address, sid: unique("sid"), state: Arc::new(Mutex::new(script)) };
        let path = "/2013-12-26/Accounts/{sid}/SMS/TemplateSMS";
        let app = Router::new().route(path, post(send)).with_state(gateway.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        gateway
    }

    /// The DSN that leads here.
    pub fn dsn(&self) -> String {
        self.dsn_by(&self.address)
    }

    /// The DSN that leads here by way of `HOST:PORT`.
    pub fn dsn_by(&self, address: &str) -> String {
        dsn(&self.sid, address)
    }

    /// A DSN that leads to `HOST:PORT`, where no gateway is.
    pub fn dsn_of(address: &str) -> String {
        dsn(NOBODY, address)
    }

    /// The address on which it listens.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Answers with `replies` one after the other, and then always with `always`.
    pub fn first(&self, replies: &[Reply], always: Reply) {
        let mut script = self.state.lock().expect("no panic");
        script.next = replies.iter().cloned().collect();
        script.always = Some(always);
    }

    /// From now on it always answers like this.
    pub fn always(&self, reply: Reply) {
        let mut script = self.state.lock().expect("no panic");
        script.next.clear();
        script.always = Some(reply);
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Call> {
        self.state.lock().expect("no panic").calls.clone()
    }

    /// Accepted calls, without those whose caller vanished before the answer.
    pub fn accepted(&self) -> Vec<Call> {
        self.state.lock().expect("no panic").accepted.clone()
    }

    /// Waits until there are `count` calls, and returns them.
    pub async fn got(&self, count: usize) -> Vec<Call> {
        eventually("a call to the gateway", || async {
            let calls = self.calls();
            (calls.len() >= count).then_some(calls)
        })
        .await
    }

    /// Returns when it has accepted `count`.
    pub async fn has_accepted(&self, count: usize) {
        eventually("the gateway accepts", || async {
            (self.accepted().len() >= count).then_some(())
        })
        .await;
    }

    fn record(&self, call: Call) {
        self.state.lock().expect("no panic").accepted.push(call);
    }

    fn accept(&self, call: Call) -> Response {
        self.record(call);
        let template = json!({ "smsMessageSid": "1", "dateCreated": "20260101120000" });
        Json(json!({ "statusCode": "000000", "templateSMS": template })).into_response()
    }
}

async fn send(
    State(gateway): State<Gateway>,
    Path(sid): Path<String>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    if let Err(problem) = verify(&gateway.sid, &sid, &query, &headers) {
        return refuse(problem);
    }
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let call = Call {
        at: Instant::now(),
        to: text(&body["to"]),
        code: text(&body["datas"][0]),
        request_id: text(&body["reqId"]),
    };
    let reply = {
        let mut script = gateway.state.lock().expect("no panic");
        script.calls.push(call.clone());
        script.next.pop_front().or(script.always.clone()).expect("a reply")
    };
    match reply {
        Reply::Accept => gateway.accept(call),
        Reply::AcceptAfter(delay) => {
            tokio::time::sleep(delay).await;
            gateway.accept(call)
        }
        Reply::AcceptWhen(mut told) => {
            told.wait_for(|told| *told).await.expect("the test goes on");
            gateway.accept(call)
        }
        Reply::AcceptAndHang => {
            gateway.record(call);
            pending().await
        }
        Reply::AcceptAndBreak => {
            gateway.record(call);
            broken()
        }
        Reply::AcceptAndBabble => {
            gateway.record(call);
            b"\0\xff{\"statusCode\":\"000000\"".into_response()
        }
        Reply::TooMany(seconds) => {
            (StatusCode::TOO_MANY_REQUESTS, [("retry-after", seconds.to_string())]).into_response()
        }
        Reply::Flood => {
            Body::from_stream(repeat_with(|| Ok::<_, std::io::Error>(vec![b' '; 64 * 1024])))
                .into_response()
        }
        Reply::Raw(status, body) => {
            (StatusCode::from_u16(status).expect("a status"), body).into_response()
        }
        Reply::Refuse(code) => refuse(code),
        Reply::Http(status) => {
            (StatusCode::from_u16(status).expect("a status"), "<html>").into_response()
        }
        Reply::Break => broken(),
    }
}

fn broken() -> Response {
    let broken =
        futures_util::stream::iter([Ok("{\"statusCode\""), Err(std::io::Error::other("cut"))]);
    Body::from_stream(broken).into_response()
}

fn refuse(code: &str) -> Response {
    Json(json!({ "statusCode": code, "statusMsg": "no" })).into_response()
}

fn dsn(sid: &str, address: &str) -> String {
    format!("ccp://{sid}:{TOKEN}@{address}?app_id=app&template=1&tls=false")
}

/// CCP's own codes for what is wrong with a call.
fn verify(
    own: &str,
    sid: &str,
    query: &[(String, String)],
    headers: &HeaderMap,
) -> Result<(), &'static str> {
    let authorization =
        headers.get("authorization").and_then(|value| value.to_str().ok()).ok_or("172006")?;
    let decoded = STANDARD
        .decode(authorization)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or("172007")?;
    let (account, time) = decoded.split_once(':').ok_or("172007")?;
    let hash = Md5::digest(format!("{own}{TOKEN}{time}"));
    let expected: String = hash.iter().map(|byte| format!("{byte:02X}")).collect();
    let signed = query.iter().any(|(name, value)| name == "sig" && *value == expected);
    if sid == own && account == own && time.len() == 14 && signed { Ok(()) } else { Err("111109") }
}
