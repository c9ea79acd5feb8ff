//! Middleware of every route.

pub(crate) mod cors;
pub(crate) mod host;
pub(crate) mod problem_body;
pub(crate) mod request_id;

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use tower::{Layer, Service};
use tracing::Instrument;

use self::problem_body::ProblemWriter;
use self::request_id::TracedRequest;
use crate::problem::Problem;

/// The layer of [`crate::with_defaults`]: request IDs, `Host`, problems, `no-store`. (A service by
/// itself: for functions as middleware axum copies and boxes the route anew for each request.)
#[derive(Clone)]
pub(crate) struct DefaultsLayer;

/// A route within the layer.
#[derive(Clone)]
pub(crate) struct Defaults<S>(S);

impl<S> Layer<S> for DefaultsLayer {
    type Service = Defaults<S>;

    fn layer(&self, inner: S) -> Defaults<S> {
        Defaults(inner)
    }
}

impl<S> Service<Request> for Defaults<S>
where
    S: Service<Request, Response = Response, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.0.poll_ready(context)
    }

    fn call(&mut self, mut request: Request) -> Self::Future {
        let (traced, span) = TracedRequest::begin(&mut request);
        let problems = ProblemWriter::of(&request);
        let inner = (!host::is_bad(&request)).then(|| self.0.call(request));
        let answer = async move {
            match inner {
                Some(inner) => inner.await,
                None => Ok(Problem::BadHost.into_response()),
            }
        };
        let answer = answer.instrument(span);
        Box::pin(async move {
            let response = answer.await?;
            Ok(traced.end(problems.write(response)))
        })
    }
}
