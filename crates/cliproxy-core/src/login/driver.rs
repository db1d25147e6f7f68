//! Performs conversations: the only place where logins touch sockets, time and people.
//!
//! What an earlier process was told already is told again instead of being asked for ([`Trail`]).

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::callback::{Arrival, Callback, Listener, Unacceptable};
use super::session::Hold;
use super::talk::{Event, Talk, Tunnel};
use super::trail::Trail;
use crate::oauth::{Answer, Flow, Input, Line, Notice, Question, Refusal, RefusalKind, Request, State, Step};
use crate::secret::Secret;

/// How long a browser may take to come back, and a person to answer.
const PATIENCE: Duration = Duration::from_mins(5);
/// When to ask for the address instead.
const PASTE_AFTER: Duration = Duration::from_secs(15);
/// Pauses before a request that may be repeated is repeated.
const REPEATS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(2)];
/// Things that do not count and are told all the same.
const MOST_IGNORED: u32 = 20;
/// Where a browser comes back to.
#[derive(Debug)]
pub(crate) struct Door {
    /// What it has to bring.
    pub(crate) state: State,
    /// Who waits; `None` when the address is not on this machine.
    pub(crate) listener: Option<Listener>,
    /// How the browser gets there.
    pub(crate) tunnel: Option<Tunnel>,
    /// Until when it waits.
    pub(crate) hold: Hold,
}

/// Performs a conversation to its end, and keeps what it is told on `trail`. `now` is the clock in Unix seconds.
///
/// # Errors
/// The conversation's own refusal, or nobody came back or answered in time.
pub(crate) async fn perform<T>(
    flow: &mut dyn Flow<Output = T>,
    line: &Line<'_>,
    door: Door,
    talk: &mut Talk,
    trail: &mut Trail,
    now: fn() -> u64,
) -> Result<T, Refusal> {
    let (report, arrivals) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let (state, tunnel) = (door.state.clone(), door.tunnel);
    let mut conversation = Performance { line, state, tunnel, arrivals, talk, trail, now, n_ignored: 0 };
    let talking = async {
        let result = conversation.run(flow).await;
        stop.cancel();
        result
    };
    let serving = async {
        match door.listener {
            Some(listener) => {
                tokio::select! {
                    () = listener.serve(door.state, report, stop.clone()) => {}
                    () = door.hold.wanted() => {}
                }
            }
            None => drop(report),
        }
        door.hold.let_go();
    };
    let (result, ()) = tokio::join!(talking, serving);
    result
}

struct Performance<'a> {
    line: &'a Line<'a>,
    state: State,
    tunnel: Option<Tunnel>,
    arrivals: mpsc::Receiver<Arrival>,
    talk: &'a mut Talk,
    trail: &'a mut Trail,
    now: fn() -> u64,
    n_ignored: u32,
}

impl Performance<'_> {
    async fn run<T>(&mut self, flow: &mut dyn Flow<Output = T>) -> Result<T, Refusal> {
        let mut input = Input::Start;
        loop {
            input = match flow.step(input) {
                Step::Done(output) => return Ok(output),
                Step::Refused(refusal) => return Err(refusal),
                Step::Send(request) => self.send(request).await,
                Step::Redeem(request) => self.redeem(request).await,
                Step::Wait(_) if self.trail.is_told_again() => Input::Elapsed,
                Step::Wait(pause) => {
                    self.wait(pause).await;
                    Input::Elapsed
                }
                Step::Ask(question) => Input::Said(self.ask(question).await?),
                // The code is spent already.
                Step::Visit(_) if self.trail.is_told_again() => Input::Returned(Secret::new("")),
                Step::Visit(url) => Input::Returned(self.visit(url).await?),
                Step::Show(_) if self.trail.is_told_again() => Input::Shown,
                Step::Show(notice) => {
                    self.talk.say(match notice {
                        Notice::Code { url, code } => Event::Code { url, code },
                        Notice::Progress(text) => Event::Progress(text),
                    });
                    Input::Shown
                }
            };
        }
    }

    async fn send(&mut self, request: Request) -> Input {
        if let Some(answer) = self.trail.answered_before() {
            return Input::Answer(answer);
        }
        self.trail.asking();
        let input = self.send_repeatedly(request).await;
        if let Input::Answer(answer) = &input {
            self.trail.told(answer, (self.now)());
        }
        input
    }

    /// Spends what works once; what comes for it is kept before anybody uses it.
    async fn redeem(&mut self, request: Request) -> Input {
        if let Some(answer) = self.trail.answered_before() {
            return Input::Answer(answer);
        }
        let input = into_input(self.line.send(request).await);
        if let Input::Answer(answer) = &input
            && answer.status.is_success()
        {
            self.trail.received(answer, (self.now)()).await;
        }
        input
    }

    async fn send_repeatedly(&mut self, request: Request) -> Input {
        for pause in REPEATS {
            match self.line.send(request.clone()).await {
                Ok(answer) if answer.status.is_server_error() => {}
                Ok(answer) => return Input::Answer(answer),
                Err(_another_try_may_say_more) => {}
            }
            self.wait(pause).await;
        }
        into_input(self.line.send(request).await)
    }

    /// Lets time pass. What is said meanwhile is kept for the next question.
    async fn wait(&mut self, pause: Duration) {
        let end = Instant::now() + pause;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => return,
                line = self.talk.line() => self.talk.keep(line),
            }
        }
    }

    async fn ask(&mut self, question: Question) -> Result<String, Refusal> {
        if let Some(said) = self.trail.said_before() {
            return Ok(said);
        }
        let default = question.default.clone();
        self.talk.say(Event::Asked(question));
        let answer = tokio::time::timeout(PATIENCE, self.talk.answer()).await.ok().flatten();
        let answer = answer.map(|line| line.trim().to_owned()).filter(|line| !line.is_empty());
        let answer = answer.or(default).ok_or_else(|| Refusal {
            kind: RefusalKind::Passing(None),
            message: "the question was not answered".into(),
            remedy: "log in again and answer it".into(),
        })?;
        self.trail.said(&answer).await;
        Ok(answer)
    }

    async fn visit(&mut self, url: String) -> Result<Secret, Refusal> {
        self.talk.say(Event::Visit { url, tunnel: self.tunnel });
        let end = Instant::now() + PATIENCE;
        let prompt_at = Instant::now() + PASTE_AFTER;
        let mut was_prompted = false;
        loop {
            tokio::select! {
                () = tokio::time::sleep_until(end) => {
                    return Err(Refusal {
                        kind: RefusalKind::Passing(None),
                        message: format!("the browser did not come back within {} minutes", PATIENCE.as_secs() / 60).into(),
                        remedy: "log in again".into(),
                    });
                }
                () = tokio::time::sleep_until(prompt_at), if !was_prompted => {
                    self.talk.say(Event::PasteExpected);
                    was_prompted = true;
                }
                Some(arrival) = self.arrivals.recv() => match arrival {
                    Arrival::Code(code) => {
                        self.talk.say(Event::Returned);
                        return Ok(code);
                    }
                    Arrival::Refused(text) => return Err(refused(&text)),
                    Arrival::Ignored(why) => self.ignored(why),
                },
                line = self.talk.line() => {
                    if line.trim().is_empty() {
                        // Nobody was asked yet: it is meant for a later question.
                        if !was_prompted {
                            self.talk.keep(line);
                        }
                        continue;
                    }
                    let Some(callback) = Callback::parse(&line) else {
                        self.ignored("this is not a callback URL; paste the whole address of the page where the browser ended".to_owned());
                        continue;
                    };
                    match callback.check(&self.state) {
                        Ok(code) => {
                            self.talk.say(Event::Returned);
                            return Ok(code);
                        }
                        Err(Unacceptable::Refused(text)) => return Err(refused(&text)),
                        Err(other) => self.ignored(format!("this callback URL does not count: {other}")),
                    }
                }
            }
        }
    }
}

impl Performance<'_> {
    /// Says what does not count, until it looks like a flood.
    fn ignored(&mut self, why: String) {
        self.n_ignored += 1;
        if self.n_ignored <= MOST_IGNORED {
            self.talk.say(Event::Ignored(why));
        }
    }
}

fn into_input(sent: Result<Answer, String>) -> Input {
    match sent {
        Ok(answer) => Input::Answer(answer),
        Err(why) => Input::Lost(why),
    }
}

fn refused(text: &str) -> Refusal {
    Refusal {
        kind: RefusalKind::Dead,
        message: format!("the provider refused the login: {text}").into(),
        remedy: "log in again and allow the access".into(),
    }
}
