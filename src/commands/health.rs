//! `health`: checks if a process is ready, for images without curl.

use std::error::Error;
use std::io::{Write, stdout};
use std::time::Duration;

use reqwest::Client;
use url::Url;

/// Timeout of the check: store and queue answer within a second, or are down.
const TIMEOUT: Duration = Duration::from_secs(3);

/// Fails unless the process answers with success. A URL without a path means `/readyz`, since `/`
/// may be a page, which is always served.
pub async fn run(mut url: Url) -> Result<(), Box<dyn Error>> {
    if url.path() == "/" {
        url.set_path("/readyz");
    }
    let answer = Client::builder().no_proxy().timeout(TIMEOUT).build()?.get(url).send().await?;
    let (status, body) = (answer.status(), answer.text().await?);
    writeln!(stdout(), "{body}")?;
    if status.is_success() {
        Ok(())
    } else {
        Err(format!("the process answers with {status}: its log has the reason").into())
    }
}
