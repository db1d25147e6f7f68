//! One login from its beginning to an auth file's content: what the command line, the management interface and an
//! embedding program call.

use super::callback::{BindError, Listener};
use super::driver::{Door, Line, perform};
use super::flow::{Refusal, RefusalKind};
use super::login::{Grant, Login, Options, Redirect, Setup};
use super::talk::{Event, Talk, Tunnel};
use crate::config::Settings;
use crate::credential::CredentialId;
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
    /// The clock, in Unix seconds.
    pub now: fn() -> u64,
}

/// Why a login did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoginError {
    /// Another program has the port that the browser comes back to.
    PortBusy(u16),
    /// Anything else.
    Refused(Refusal),
}

impl Session {
    /// Logs in.
    ///
    /// # Errors
    /// Why not.
    pub async fn run(
        self,
        settings: &Settings,
        clients: &Clients,
        talk: &mut Talk,
    ) -> Result<Grant, LoginError> {
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
        if let Some(notice) = self.login.notice {
            talk.say(Event::Notice(notice));
        }
        let setup = Setup::new(identity, self.now, self.options).map_err(LoginError::Refused)?;
        let browser = port_of(&setup.identity.redirect_url);
        let tunnel = listener.as_ref().map(|listener| Tunnel { browser, here: listener.port() });
        let door = Door { state: setup.state.clone(), listener, tunnel };
        let egress = Egress {
            credential: CredentialId::new(format!("login:{}", self.login.provider)),
            proxy: settings.proxy.clone(),
        };
        let line = Line::new(settings, clients, egress);
        let mut conversation = (self.login.begin)(setup);
        perform(&mut *conversation, &line, door, talk).await.map_err(LoginError::Refused)
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
                message: other.to_string(),
                remedy: "choose another port with --oauth-callback-port".to_owned(),
            })),
        }
    }
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
        ),
        remedy: format!("set `oauth-endpoints.{}.client-secret` in config.yaml", login.provider),
    }
}
