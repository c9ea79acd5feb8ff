//! `health`: asks a process whether it can do its work, where there is no curl, as in a container
//! of this program alone.

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;

use reqwest::Client;
use url::Url;

/// Longest time for an answer: store and queue answer within a second, or are down.
const PATIENCE: Duration = Duration::from_secs(3);

/// Fails unless it answers with 200. An address alone is asked for `/readyz`: at `/` a page may be,
/// which is there in any case.
pub async fn run(mut url: Url) -> Result<(), Box<dyn Error>> {
    if url.path() == "/" {
        url.set_path("/readyz");
    }
    let answer = Client::builder().no_proxy().timeout(PATIENCE).build()?.get(url).send().await?;
    let (status, body) = (answer.status(), answer.text().await?);
    writeln!(stdout(), "{body}")?;
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("it answers with {status}: its log says why").into())
    }
}
