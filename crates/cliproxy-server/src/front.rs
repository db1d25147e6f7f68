//! The front of the server: calls of models, which are nearly all of the traffic, go straight to their handler, and
//! everything else to the router.
//!
//! The router knows the same routes and answers them alike, and is what other programs mount. Finding one of its many
//! routes and boxing every layer around a handler costs a tenth of the instructions that a small call needs. What may have
//! to be refused to a browser ([`browser`]) is left to the router, too.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::extract::ConnectInfo;
use bytes::Bytes;
use cliproxy_core::boxed::in_place;
use cliproxy_core::provider::Operation;
use cliproxy_wire::Format;
use http::{Method, Request, Response};
use http_body::Body;
use tower::Service as _;

use crate::api::call::{self, Route};
use crate::api::gemini_operation;
use crate::router::router;
use crate::sockets::Sockets;
use crate::stream::Egress;
use crate::{App, browser};

/// The gateway as [`serve`](crate::serve) serves it.
#[derive(Clone, Debug)]
pub struct Gateway {
    app: Arc<App>,
    router: Router,
}

/// An answer on its way.
pub(crate) type Answering = Pin<Box<dyn Future<Output = Result<Response<Egress>, Infallible>> + Send>>;

impl Gateway {
    /// The gateway's routes.
    pub fn new(app: App) -> Self {
        Self { router: router(app.clone()), app: Arc::new(app) }
    }

    /// The websockets that are open.
    pub(crate) fn sockets(&self) -> &Sockets {
        &self.app.sockets
    }

    /// Answers a request that came from `peer`.
    pub(crate) fn answer<B>(&self, mut request: Request<B>, peer: SocketAddr) -> Answering
    where
        B: Body<Data = Bytes, Error: Into<axum::BoxError> + Send> + Unpin + Send + 'static,
    {
        // A log in a file wants a line of every request, which is the router's to follow.
        let is_plain = request.method() == Method::POST && !self.app.logs.is_to_file();
        let direct = if is_plain { route(request.uri().path()) } else { None };
        if let Some(route) = direct
            && let Some(passage) = browser::Passage::of(&self.app.engine.glance(), &request)
        {
            let (app, request) = (Arc::clone(&self.app), call::arrived(request));
            return in_place(move || async move {
                let mut response = call::serve(&app, route, request).await;
                passage.mark(response.headers_mut());
                Ok(response)
            });
        }
        // Rules about where somebody calls from go by the socket, which no header can lie about.
        request.extensions_mut().insert(ConnectInfo(peer));
        let answering = self.router.clone().call(request);
        Box::pin(async move { answering.await.map(|response| response.map(Egress::from)) })
    }
}

/// The call that a path as the protocols write it stands for.
fn route(path: &str) -> Option<Route> {
    match path {
        "/v1/chat/completions" => Some(Route::new(Format::Chat, Operation::Generate)),
        "/v1/responses" => Some(Route::new(Format::Responses, Operation::Generate)),
        "/v1/messages" => Some(Route::new(Format::Claude, Operation::Generate)),
        _ => {
            let rest = path.strip_prefix("/v1beta/models/")?;
            // What is percent-encoded the router decodes.
            let (model, operation) =
                Some(rest).filter(|rest| !rest.contains('%')).and_then(gemini_operation)?;
            Some(Route { model: Some(model), ..Route::new(Format::Gemini, operation) })
        }
    }
}
