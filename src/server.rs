//! The HTTP server of local mode: the functions' routers on a TCP port, and the pages.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use axum::Router;
use axum::middleware::from_fn;
use axum_server::Handle;
use sms_domain::phone;
use sms_http::{
    AllowedOrigins, RequestApi, check_router, delivery_reports_router, health_router, one_host,
    pictures_router, request_router, specification_router, with_defaults,
};
use sms_telemetry::causes;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::components::Components;
use crate::{ops, pages};

/// Time for requests in progress to finish after a signal.
const GRACE: Duration = Duration::from_secs(10);

/// Timeout of a new connection's first request, so that idle clients use no resources.
const FIRST_REQUEST: Duration = Duration::from_secs(10);

/// Timeout of each further request on a connection: longer than the idle timeout of proxies in
/// front, which is usually 60 s.
const KEEP_ALIVE: Duration = Duration::from_secs(65);

/// Maximum size of a request's line and headers together, in bytes.
const MAX_HEAD: usize = 32 * 1024;

/// A bound server: connections are accepted by the system, and answered once it runs.
pub struct Server {
    listener: TcpListener,
    app: Router,
}

/// Binds `LISTEN`. Port 0 becomes the port that the system chose.
pub async fn bind(components: &mut Components) -> Result<Server, ListenError> {
    let listen = components.config.listen;
    let failed = |source| ListenError { listen, setting: "LISTEN", source };
    let listener = TcpListener::bind(listen).map_err(failed)?;
    components.config.listen = listener.local_addr().map_err(failed)?;
    let region = components.config.http.region;
    // In a thread of its own: neither the start nor the first request waits for it.
    std::thread::spawn(move || phone::warm_up(region));
    // Connects before the first request. The process starts even if a server is down: it may come
    // up later.
    let (store, queue) = tokio::join!(components.store.ping(), components.queue.ping());
    if let Err(error) = store {
        warn!(error = causes(&error), "the store does not answer yet");
    }
    if let Err(error) = queue {
        warn!(error = causes(&error), "the queue does not answer yet");
    }
    let (config, http) = (&components.config, &components.config.http);
    config.abuse.warn_of_assumed_prices();
    http.warn_of_missing_keys();
    let api = RequestApi {
        request_code: components.request_code(),
        test_numbers: config.codes.test_numbers.clone(),
        autofill: config.autofill.clone(),
        settings: http.clone(),
    };
    let routes = request_router(api)
        .merge(check_router(components.check_code(), http))
        .merge(pictures_router(components.store.clone(), config.abuse.challenge.clone()))
        .merge(delivery_reports_router(components.delivery_reports()))
        .merge(specification_router())
        .merge(health_router(components.store.clone(), components.queue.clone()));
    let api = with_defaults(routes, &http.origins);
    let api = match http.base_path.as_str() {
        "" => api,
        base => api.clone().nest(base, api),
    };
    // Pages of other origins may call the API, and not read the inbox.
    let app = match (config.has_pages(), &config.ops_token) {
        (true, _) => {
            let pages =
                pages::router(components.inbox.clone(), config, ops::router(components.ops()));
            api.merge(pages.layer(from_fn(one_host)))
        }
        (false, Some(_)) => {
            let pages = ops::router(components.ops()).merge(pages::ops());
            api.merge(pages.layer(from_fn(one_host)))
        }
        (false, None) => api,
    };
    Ok(Server { listener, app })
}

/// Serves a worker's `/metrics`, `/healthz` and `/readyz` in a task.
pub fn serve_worker(
    components: &Components,
    listen: SocketAddr,
    stop: CancellationToken,
) -> Result<(), ListenError> {
    let failed = |source| ListenError { listen, setting: "--metrics", source };
    let listener = TcpListener::bind(listen).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    info!(listen = %address, "serving /metrics, /healthz and /readyz");
    let health = with_defaults(
        health_router(components.store.clone(), components.queue.clone()),
        &AllowedOrigins::default(),
    );
    let token = components.config.ops_token.clone();
    let mut pages = ops::metrics_router(token.clone());
    // Off loopback, only operators with a token may change the log level.
    if listen.ip().is_loopback() || token.is_some() {
        pages = pages.merge(ops::level_router(token));
    }
    let mut app = health.merge(pages.layer(from_fn(one_host)));
    if listen.ip().is_loopback() {
        app = app.layer(from_fn(pages::only_for_this_machine));
    }
    let server = Server { listener, app };
    tokio::spawn(server.run(stop));
    Ok(())
}

/// A port could not be bound.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {listen} (set {setting} to another address or port)")]
pub struct ListenError {
    listen: SocketAddr,
    setting: &'static str,
    source: io::Error,
}

impl Server {
    /// Serves until a signal, and then finishes the requests in progress.
    pub async fn run(self, stop: CancellationToken) -> io::Result<()> {
        let handle = Handle::new();
        let mut server = axum_server::from_tcp(self.listener)?
            .handle(handle.clone())
            .http1_only()
            .first_request_timeout(FIRST_REQUEST)
            .accept_error_handler(|_, error| warn!(%error, "a connection could not be accepted"));
        // Half-closed connections are answered: the client may have sent all that it has.
        server
            .http_builder()
            .http1()
            .header_read_timeout(KEEP_ALIVE)
            .max_buf_size(MAX_HEAD)
            .half_close(true);
        tokio::spawn(async move {
            stop.cancelled().await;
            handle.graceful_shutdown(Some(GRACE));
        });
        server.serve(self.app.into_make_service_with_connect_info::<SocketAddr>()).await
    }
}
