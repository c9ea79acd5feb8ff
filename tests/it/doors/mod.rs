//! Codes of others: `/v1/messages`, and the doors of identity servers.

/// `/v1/messages`: once, limits, outcomes, bad input.
mod messages;

/// The servers' own packages as clients.
mod packages;

/// Samples that make codes, and have them sent.
mod samples;

/// What is sealed: where a code never stands, and what opens it.
mod sealed;

/// The formats of identity servers, as they were recorded.
mod servers;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::support::process::{Answer, Client, Environment};

/// The key of the tenant `shop`.
const KEY: &str = "key-of-the-shop";
/// The key of the tenant `app`.
const OTHER_KEY: &str = "key-of-the-app";

/// `API_KEYS` with both.
fn with_keys(environment: Environment) -> Environment {
    let hash = |key: &str| hex::encode(Sha256::digest(key));
    environment.with("API_KEYS", &format!("shop={},app={}", hash(KEY), hash(OTHER_KEY)))
}

/// Posts with a key.
async fn post_as(client: &Client, key: &str, path: &str, body: &Value) -> Answer {
    let request = client.request("POST", path).header("authorization", format!("Bearer {key}"));
    client.send(request.json(body)).await
}

async fn post(client: &Client, path: &str, body: &Value) -> Answer {
    post_as(client, KEY, path, body).await
}

async fn get_as(client: &Client, key: &str, path: &str) -> Answer {
    let request = client.request("GET", path).header("authorization", format!("Bearer {key}"));
    client.send(request).await
}
