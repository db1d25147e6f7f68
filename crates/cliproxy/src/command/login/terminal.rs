//! A login at a terminal.
//!
//! Programs that wrap this one look for some of these lines, so their wording stays: `Opening browser for`, `Visit the
//! following URL to continue authentication:`, `Authentication saved to`, `Saving credentials to`, `authentication
//! successful!`, `Vertex credentials imported:`.

use cliproxy_core::env::{self, Env as _};
use cliproxy_core::login::talk::{Event, Tunnel};
use cliproxy_core::oauth::Login;

use super::super::show::{print, say};
use super::words::words;
use super::{Audience, Ending};

/// A person at a terminal.
pub(super) struct Terminal {
    login: &'static Login,
    opens_browser: bool,
    /// The last line is a prompt.
    is_prompting: bool,
}

impl Terminal {
    pub(super) fn new(login: &'static Login, opens_browser: bool) -> Self {
        Self { login, opens_browser, is_prompting: false }
    }

    fn line(&mut self, text: &str) {
        if std::mem::take(&mut self.is_prompting) {
            say("");
        }
        say(text);
    }

    fn prompt(&mut self, text: &str) {
        self.line("");
        print(&format!("{} ", text.trim_end_matches(' ')));
        self.is_prompting = true;
    }

    /// Opens a browser, and shows the address in any case.
    fn visit(&mut self, url: &str, tunnel: Option<Tunnel>) {
        let mut is_open = false;
        if self.opens_browser {
            self.line(&match self.login.name {
                "login" => "Opening browser for authentication...".to_owned(),
                _ => format!("Opening browser for {} authentication", self.login.title),
            });
            is_open = open::that_detached(url).is_ok();
            if !is_open {
                self.line("No browser could be opened.");
            }
        }
        let is_remote = env::Process.get(env::SSH_CONNECTION).is_some();
        if let Some(Tunnel { browser, here }) = tunnel.filter(|_| is_remote || !is_open) {
            self.line("If your browser is on another machine, join its port to this one first, in a terminal there:");
            self.line(&format!("  ssh -L {browser}:127.0.0.1:{here} <user>@<this machine>"));
            self.line(
                "Without the tunnel: log in, then paste here the address of the page that does not open.",
            );
        }
        self.line("Visit the following URL to continue authentication:");
        self.line(url);
    }
}

impl Audience for Terminal {
    fn tell(&mut self, event: Event) {
        let title = self.login.title;
        match event {
            Event::Notice(text) => self.line(&format!("Note: {text}")),
            Event::Visit { url, tunnel } => {
                self.visit(&url, tunnel);
                self.line(&format!("Waiting for {title} authentication callback..."));
            }
            Event::Code { url, code } => {
                self.visit(&url, None);
                self.line(&format!("User code: {code}"));
                self.line(&format!("Waiting for {title} authentication..."));
            }
            Event::PasteExpected => {
                self.prompt(&format!("Paste the {title} callback URL (or press Enter to keep waiting): "));
            }
            Event::Ignored(why) => self.line(&format!("Ignored: {why}.")),
            Event::Returned => self.line("The browser has come back."),
            Event::Asked(question) => self.prompt(&question.prompt),
            Event::Progress(text) => self.line(&text),
        }
    }

    fn end(&mut self, ending: &Ending) {
        let title = self.login.title;
        match ending {
            Ending::Saved { saved, path, .. } => {
                let path = path.display();
                self.line(&format!("Saving credentials to {path}"));
                self.line(&format!("Authentication saved to {path}"));
                self.line(&format!("{title} authentication successful!"));
                if saved.is_disabled {
                    self.line("This account is disabled in its file; set `disabled` to false to use it.");
                }
            }
            Ending::Failed(error) => {
                let (message, remedy) = words(error);
                self.line(&format!("{title} authentication failed: {message}; {remedy}"));
            }
        }
    }
}

/// Tells how an import ended.
pub(super) fn imported(ending: &Ending) {
    match ending {
        Ending::Saved { path, .. } => say(&format!("Vertex credentials imported: {}", path.display())),
        Ending::Failed(error) => {
            let (message, remedy) = words(error);
            say(&format!("Vertex import failed: {message}; {remedy}"));
        }
    }
}
