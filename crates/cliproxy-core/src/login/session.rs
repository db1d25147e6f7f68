//! One login from its beginning to the saved account: what the command line, the management interface and an embedding
//! program call.

use futures_util::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::callback::{BindError, Listener};
use super::driver::Door;
use super::journal::{Entry, Intent, Journal};
use super::save::{Saved, save_on};
use super::talk::{Event, Talk, Tunnel};
use super::trail::Trail;
use super::{driver, earlier};
use crate::config::Settings;
use crate::credential::CredentialId;
use crate::oauth::login::{Options, Setup};
use crate::oauth::{Grant, Line, Login, Redirect, Refusal, RefusalKind};
use crate::store::{Store, blocking};
use crate::upstream::{Clients, Egress};

/// A login to perform.
#[derive(Clone, Debug)]
pub struct Session {
    /// The way to log in.
    pub login: &'static Login,
    /// The port to listen on, instead of the registered one.
    pub port: Option<u16>,
    /// What the person chose beforehand.
    pub options: Options,
    /// Whether to listen here for the browser; otherwise its address is handed in.
    pub listens: bool,
    /// Its hold on the port it listens on.
    pub hold: Hold,
    /// The clock, in Unix seconds.
    pub now: fn() -> u64,
}

/// A login's hold on the port that the browser comes back to: a later login may need the same one.
#[derive(Clone, Debug, Default)]
pub struct Hold {
    wanted: CancellationToken,
    free: CancellationToken,
}

impl Hold {
    /// Takes the port away, and waits until it is free. The login goes on: the browser's address can still be handed in.
    pub async fn take_away(&self) {
        self.wanted.cancel();
        self.free.cancelled().await;
    }

    /// Waits until somebody wants the port.
    pub(crate) async fn wanted(&self) {
        self.wanted.cancelled().await;
    }

    /// Says that the port is free.
    pub(crate) fn let_go(&self) {
        self.free.cancel();
    }
}

/// Why a login did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginError {
    /// Another program has the port that the browser comes back to.
    PortBusy(u16),
    /// The account cannot be saved, and why. What came back is kept, if something did.
    Storage(String),
    /// Anything else.
    Refused(Refusal),
}

impl Session {
    /// Logs in and saves the account. Logins that were cut off earlier are finished before.
    ///
    /// # Errors
    /// Why not.
    pub fn run<'s>(
        self,
        settings: &'s Settings,
        clients: &'s Clients,
        store: &'s dyn Store,
        talk: &'s mut Talk,
    ) -> BoxFuture<'s, Result<(Grant, Saved), LoginError>> {
        Box::pin(self.perform(settings, clients, store, talk))
    }

    async fn perform(
        self,
        settings: &Settings,
        clients: &Clients,
        store: &dyn Store,
        talk: &mut Talk,
    ) -> Result<(Grant, Saved), LoginError> {
        let _free_at_the_end = self.hold.free.clone().drop_guard();
        for finished in earlier::finish(settings, clients, store, self.now).await {
            talk.say(Event::Progress(finished.to_string()));
        }
        let mut identity = settings.oauth.identity(self.login.provider, (self.login.identity)());
        if self.login.needs_secret && identity.client_secret.is_none() {
            return Err(LoginError::Refused(no_secret(self.login)));
        }
        let listener = self.listen(&identity.redirect_url).await?;
        // A configured port 0 is any port.
        let is_any = port_of(&identity.redirect_url) == 0 || self.login.redirect == Redirect::Listening;
        if let (true, Some(listener)) = (is_any, &listener) {
            identity.redirect_url = with_port(&identity.redirect_url, listener.port()).into();
        }
        let setup = Setup::new(identity, self.now, self.options.clone()).map_err(LoginError::Refused)?;
        let mut trail = Trail::new(self.entry(store, &setup).await?);
        if let Some(notice) = self.login.notice {
            talk.say(Event::Notice(notice));
        }
        let browser = port_of(&setup.identity.redirect_url);
        let tunnel = listener.as_ref().map(|listener| Tunnel { browser, here: listener.port() });
        let door = Door { state: setup.state.clone(), listener, tunnel, hold: self.hold.clone() };
        let line = line_of(self.login, settings, clients);
        let mut conversation = (self.login.begin)(setup);
        let yielded = driver::perform(&mut *conversation, &line, door, talk, &mut trail, self.now).await;
        match yielded {
            Ok(grant) => {
                let saved = save_on(store, &grant, &mut trail).await;
                // What came back stays in the journal until it is where it belongs.
                let saved = saved.map_err(|error| {
                    LoginError::Storage(format!(
                        "the login succeeded, but cannot be saved: {error}; what came is kept; the next login or the gateway saves it"
                    ))
                })?;
                trail.end().await;
                Ok((grant, saved))
            }
            Err(Refusal { kind: kind @ RefusalKind::Passing(_), message, .. }) if trail.has_received() => {
                let remedy =
                    "the token that came is kept; the next login or the gateway finishes this one".into();
                Err(LoginError::Refused(Refusal { kind, message, remedy }))
            }
            Err(refusal) => {
                trail.end().await;
                Err(LoginError::Refused(refusal))
            }
        }
    }

    /// An entry in the login journal; `None` where nothing outlives the process.
    async fn entry(&self, store: &dyn Store, setup: &Setup) -> Result<Option<Entry>, LoginError> {
        let Some(workplace) = store.workplace() else { return Ok(None) };
        let intent = Intent {
            login: self.login.name.to_owned(),
            begun: (self.now)(),
            device_id: setup.device_id.clone(),
            project: self.options.project.clone(),
        };
        let begun = blocking(move || Journal::new(&workplace).begin(&intent)).await;
        let begun = begun.unwrap_or_else(|| Err(std::io::Error::other("the program is ending")));
        begun.map(Some).map_err(|error| {
            LoginError::Storage(format!("the account could not be saved in the auth directory: {error}"))
        })
    }

    /// Listens where the browser comes back to; `None` when it comes back to nowhere, or not to this machine.
    async fn listen(&self, redirect: &str) -> Result<Option<Listener>, LoginError> {
        if !self.listens || self.login.redirect == Redirect::None {
            return Ok(None);
        }
        let Ok(url) = url::Url::parse(redirect) else {
            return Err(LoginError::Refused(Refusal::unusable_address()));
        };
        if !matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
            return Ok(None);
        }
        let port = self.port.unwrap_or_else(|| port_of(redirect));
        match Listener::bind(port, url.path()).await {
            Ok(listener) => Ok(Some(listener)),
            Err(BindError::Busy(port)) => Err(LoginError::PortBusy(port)),
            Err(other) => Err(LoginError::Refused(Refusal {
                kind: RefusalKind::Passing(None),
                message: other.to_string().into(),
                remedy: "choose another port with --oauth-callback-port".into(),
            })),
        }
    }
}

/// The way to the identity provider of a login.
pub(super) fn line_of<'a>(login: &Login, settings: &Settings, clients: &'a Clients) -> Line<'a> {
    let egress = Egress {
        credential: CredentialId::new(format!("login:{}", login.provider)),
        proxy: settings.proxy.clone(),
    };
    Line::new(settings.timeouts.limits(), clients, egress)
}

fn port_of(redirect: &str) -> u16 {
    url::Url::parse(redirect).ok().and_then(|url| url.port_or_known_default()).unwrap_or_default()
}

fn with_port(redirect: &str, port: u16) -> String {
    let Ok(mut url) = url::Url::parse(redirect) else { return redirect.to_owned() };
    if url.set_port(Some(port)).is_err() {
        return redirect.to_owned();
    }
    url.into()
}

fn no_secret(login: &Login) -> Refusal {
    Refusal {
        kind: RefusalKind::Dead,
        message: format!(
            "the login of {} needs the application's client secret, which its maker does not publish",
            login.title
        )
        .into(),
        remedy: format!("set `oauth-endpoints.{}.client-secret` in config.yaml", login.provider).into(),
    }
}
