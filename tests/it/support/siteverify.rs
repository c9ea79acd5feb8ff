//! A stub of the vendors of captchas: a real HTTP server that takes what their siteverify takes,
//! and answers as it is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::net::TcpListener;

pub const SITEKEY: &str = "site-key-0x4AAA";
/// It must stand nowhere but in the calls.
pub const SECRET: &str = "captcha-secret-5d0c77e1";

/// The stub.
pub struct Siteverify {
    vendor: &'static str,
    address: String,
    state: Shared,
}

type Shared = Arc<Mutex<Script>>;

struct Script {
    says: Value,
    asked: Vec<String>,
}

impl Siteverify {
    pub async fn start(vendor: &'static str) -> Self {
        let path = match vendor {
            "turnstile" => "/turnstile/v0/siteverify",
            "hcaptcha" => "/siteverify",
            _ => "/recaptcha/api/siteverify",
        };
        let state =
            Arc::new(Mutex::new(Script { says: json!({ "success": true }), asked: Vec::new() }));
        let app = Router::new().route(path, post(answer)).with_state(state.clone());
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address").to_string();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { vendor, address, state }
    }

    pub fn dsn(&self, options: &str) -> String {
        format!("{}://{SITEKEY}:{SECRET}@{}?tls=false&{options}", self.vendor, self.address)
    }

    /// Sets the answer from now on.
    pub fn says(&self, says: Value) {
        self.state.lock().expect("no panic").says = says;
    }

    /// The tokens that it was asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state.lock().expect("no panic").asked.clone()
    }
}

async fn answer(State(state): State<Shared>, body: String) -> Result<Json<Value>, StatusCode> {
    let form: HashMap<String, String> =
        url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
    let known = form.get("secret").is_some_and(|secret| secret == SECRET);
    let token = form.get("response").filter(|_| known).ok_or(StatusCode::BAD_REQUEST)?;
    let mut state = state.lock().expect("no panic");
    state.asked.push(token.clone());
    Ok(Json(state.says.clone()))
}
