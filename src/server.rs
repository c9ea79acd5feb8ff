//! The HTTP server of local mode: the functions' routers on a TCP port, the demo page, and the inbox.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use axum::extract::{Json, Request, State};
use axum::http::StatusCode;
use axum::http::header::HOST;
use axum::middleware::{Next, from_fn};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use axum::{Router, serve};
use shared::http::{app, check_router, health_router, request_router};
use shared::provider::{Inbox, InboxMessage};
use tokio::net::TcpListener;
use tracing::warn;

use crate::parts::Parts;
use crate::stop::Stop;

/// How long requests in hand may take once the process has been asked to stop.
const GRACE: Duration = Duration::from_secs(10);

/// A bound server: from here on connections are taken, and answered when it runs.
pub struct Server {
    listener: TcpListener,
    app: Router,
}

/// Binds `LISTEN`. Port 0 becomes the port that the system chose.
pub async fn bind(parts: &mut Parts) -> Result<Server, ListenError> {
    let listen = parts.config.listen;
    let failed = |source| ListenError { listen, source };
    let listener = TcpListener::bind(listen).await.map_err(failed)?;
    parts.config.listen = listener.local_addr().map_err(failed)?;
    // Connected before the first request. What is down is no reason not to start: it may come up later.
    let (store, queue) = tokio::join!(parts.store.ping(), parts.queue.ping());
    if let Err(error) = store {
        warn!(error = &error as &dyn Error, "the store cannot be reached yet");
    }
    if let Err(error) = queue {
        warn!(error = &error as &dyn Error, "the queue cannot be reached yet");
    }
    let mut routes = request_router(parts.admissions(), parts.config.region)
        .merge(check_router(parts.checks()))
        .merge(health_router(parts.store.clone(), Some(parts.queue.clone())));
    if parts.has_pages() {
        routes = routes.merge(pages(parts.inbox.clone()));
    }
    Ok(Server { listener, app: app(routes) })
}

/// The port could not be had.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen} (set LISTEN to another address or port)")]
pub struct ListenError {
    listen: std::net::SocketAddr,
    source: io::Error,
}

impl Server {
    /// Serves until it is asked to stop, and then finishes the requests in hand.
    pub async fn run(self, mut stop: Stop) -> io::Result<()> {
        let mut stopping = stop.clone();
        let served = serve(self.listener, self.app).with_graceful_shutdown(async move { stopping.requested().await });
        tokio::select! {
            result = served => result,
            // A client that never finishes its request holds up nobody.
            () = async { stop.requested().await; tokio::time::sleep(GRACE).await } => Ok(()),
        }
    }
}

fn pages(inbox: Inbox) -> Router {
    Router::new()
        .route("/", get(async || Html(include_str!("pages/index.html"))))
        .route("/inbox", get(async || Html(include_str!("pages/inbox.html"))))
        .route("/inbox.json", get(messages).post(keep))
        .layer(from_fn(only_for_this_machine))
        .with_state(inbox)
}

async fn messages(State(inbox): State<Inbox>) -> Json<Vec<InboxMessage>> {
    Json(inbox.messages())
}

/// For the senders of other processes: `SMS_DSN=inbox+http://…`.
async fn keep(State(inbox): State<Inbox>, Json(message): Json<InboxMessage>) -> StatusCode {
    inbox.push(message);
    StatusCode::NO_CONTENT
}

/// A web page from elsewhere that resolves its own name to 127.0.0.1 gets nothing of the inbox: it cannot help
/// sending its name as Host.
async fn only_for_this_machine(request: Request, next: Next) -> Response {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    let name = host.rsplit_once(':').filter(|(_, port)| port.parse::<u16>().is_ok()).map_or(host, |(name, _)| name);
    let address = name.trim_matches(['[', ']']).parse::<IpAddr>();
    if name == "localhost" || address.is_ok_and(|address| address.is_loopback()) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, "open this page as http://127.0.0.1 or http://localhost\n").into_response()
    }
}
