//! A scripted identity provider whose refresh tokens work once, with the upstream that its access tokens open.
//!
//! It speaks Claude's token endpoint and messages, keeps book of what was redeemed and what was presented a second time,
//! can fail in the ways that cost people their logins, and calls a test back at every point of a redemption, so that the
//! test can end the gateway right there. How a login begins is not its business.

mod answer;
mod book;

pub use book::{Account, Fault};

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::post;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use answer::Reply;
use book::{Book, Decision, Grant};

/// A point on the way to a new token and its use, in the order in which they come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Point {
    /// The request has arrived; nothing is redeemed yet.
    Asked,
    /// The old refresh token has just become worthless; nothing is said yet.
    Redeemed,
    /// Half of the answer is on its way.
    Halfway,
    /// The whole answer is on its way.
    Answered,
    /// The upstream is asked with an access token and accepts it.
    Used,
}

impl Point {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Asked, Self::Redeemed, Self::Halfway, Self::Answered, Self::Used];
}

type Hook = Arc<dyn Fn(Point, &str) + Send + Sync>;

pub(crate) struct Shared {
    pub(crate) book: Mutex<Book>,
    hook: Mutex<Option<Hook>>,
}

impl Shared {
    pub(crate) fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn reached(&self, point: Point, account: &str) {
        let hook = self.hook.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(hook) = hook {
            hook(point, account);
        }
    }
}

/// A running identity provider.
pub struct Issuer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Issuer {
    /// Starts one without accounts.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("a bound address");
        let shared = Arc::new(Shared { book: Mutex::default(), hook: Mutex::default() });
        let app = Router::new()
            .route("/v1/oauth/token", post(token))
            .route("/v1/messages", post(messages))
            .with_state(Arc::clone(&shared));
        #[expect(clippy::disallowed_methods, reason = "the server lives as long as the test's runtime")]
        drop(tokio::spawn(async move { axum::serve(listener, app).await.expect("the server runs") }));
        Self { address, shared }
    }

    /// Its base address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A configuration that sends Claude logins here and keeps auth files in `directory`.
    pub fn config(&self, directory: &Path) -> String {
        let (url, directory) = (self.url(), directory.display());
        format!(
            "auth-dir: {directory}\noauth-endpoints:\n  claude: {{token-url: {url}/v1/oauth/token, base-url: {url}}}\n"
        )
    }

    /// Logs an account in, again if it was before, and gives its auth file: a person's own order and members included.
    pub fn login(&self, account: &str) -> String {
        self.shared.book().login(account);
        self.auth_file(account, "2099-01-01T00:00:00Z")
    }

    /// The auth file that holds the account's current tokens, with this end.
    pub fn auth_file(&self, account: &str, expired: &str) -> String {
        let now = self.account(account);
        format!(
            "{{\n  \"type\": \"claude\",\n  \"note\" : \"kept as it is\", \"odd\": 1.0e3,\n  \"email\": \"{account}\",\n  \"id_token\": \"\",\n  \"access_token\": \"{}\",\n  \"refresh_token\": \"{}\",\n  \"expired\": \"{expired}\",\n  \"last_refresh\": \"2026-01-01T00:00:00Z\"\n}}\n",
            now.access, now.refresh,
        )
    }

    /// The upstream stops accepting the account's access token, as when it has ended.
    pub fn expire(&self, account: &str) {
        self.shared.book().expire(account);
    }

    /// What is known of an account.
    pub fn account(&self, account: &str) -> Account {
        self.shared.book().account(account)
    }

    /// The next redemptions go wrong in this order; those after them go well.
    pub fn fail(&self, faults: &[Fault]) {
        self.shared.book().faults.extend(faults);
    }

    /// How long access tokens live, in seconds, from now on.
    pub fn set_lifetime(&self, seconds: u64) {
        self.shared.book().lifetime = seconds;
    }

    /// Calls `hook` with every point that is reached and its account, instead of the hook before.
    pub fn on_point(&self, hook: impl Fn(Point, &str) + Send + Sync + 'static) {
        *self.shared.hook.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(hook));
    }

    /// Calls nothing any more.
    pub fn off_point(&self) {
        *self.shared.hook.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

async fn token(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let form = fields(request).await;
    let text = |name: &str| form.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let refresh = text("refresh_token");
    let account = shared.book().owner(&refresh).unwrap_or_default();
    shared.reached(Point::Asked, &account);
    if text("grant_type") != "refresh_token" {
        return Reply::json(400, &json!({"error": "unsupported_grant_type"})).response();
    }
    let decision = shared.book().redeem(&refresh);
    match decision {
        Decision::Granted(_) | Decision::Lost | Decision::Torn(_) => {
            shared.reached(Point::Redeemed, &account);
        }
        Decision::Failed(Fault::Silence) => std::future::pending().await,
        Decision::Failed(_) | Decision::Refused => {}
    }
    answer::decided(decision, shared, account)
}

/// Members of a JSON body or a form.
async fn fields(request: Request) -> Value {
    let body =
        request.into_body().collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    serde_json::from_slice(&body).unwrap_or_else(|_a_form| {
        let text = String::from_utf8_lossy(&body).into_owned();
        let pairs = text.split('&').filter_map(|pair| pair.split_once('='));
        pairs.map(|(name, value)| (name.to_owned(), Value::from(value))).collect()
    })
}

async fn messages(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let bearer = request.headers().get("authorization").and_then(|value| value.to_str().ok());
    let token = bearer.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
    // A request is read to its end before it is answered.
    drop(request.into_body().collect().await);
    let user = shared.book().used(&token);
    if let Some(account) = &user {
        shared.reached(Point::Used, account);
    } else {
        let error = json!({"type": "authentication_error", "message": "OAuth token has expired"});
        return Reply::json(401, &json!({"type": "error", "error": error})).response();
    }
    let answer = json!({"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-haiku-4-5-20251001",
        "content": [{"type": "text", "text": token}], "stop_reason": "end_turn", "stop_sequence": null,
        "usage": {"input_tokens": 1, "output_tokens": 1}});
    Reply::json(200, &answer).response()
}
