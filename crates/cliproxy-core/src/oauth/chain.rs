//! Conversations made of smaller ones.

use std::fmt;

use super::flow::{Answer, Flow, Input, Refusal, RefusalKind, Request, Step};

impl<T> Step<T> {
    /// The same step towards another end.
    pub(crate) fn and_then<U>(self, next: impl FnOnce(T) -> Step<U>) -> Step<U> {
        match self {
            Self::Send(request) => Step::Send(request),
            Self::Redeem(request) => Step::Redeem(request),
            Self::Wait(pause) => Step::Wait(pause),
            Self::Ask(question) => Step::Ask(question),
            Self::Visit(url) => Step::Visit(url),
            Self::Show(notice) => Step::Show(notice),
            Self::Done(output) => next(output),
            Self::Refused(refusal) => Step::Refused(refusal),
        }
    }

    /// A step, or the refusal that stands in its way.
    pub(crate) fn or_refused(result: Result<Self, Refusal>) -> Self {
        result.unwrap_or_else(Self::Refused)
    }
}

impl Input {
    /// The answer to a request to `who`.
    pub(crate) fn answer(self, who: &str) -> Result<Answer, Refusal> {
        match self {
            Self::Answer(answer) => Ok(answer),
            Self::Lost(why) => Err(Refusal {
                kind: RefusalKind::Passing(None),
                message: format!("{who} did not answer: {why}").into(),
                remedy: "check the network and `proxy-url`, then try again".into(),
            }),
            _ => Err(Refusal::out_of_turn()),
        }
    }
}

impl Refusal {
    /// The driver gave an input that answers no question of this conversation.
    pub(crate) fn out_of_turn() -> Self {
        Self {
            kind: RefusalKind::Passing(None),
            message: "the conversation went out of turn, which is a fault of this program".into(),
            remedy: "please report it".into(),
        }
    }
}

/// Conversations that go on where another one ends.
pub(crate) trait Then: Flow + Sized {
    /// Goes on with the conversation that `next` begins with what this one yields.
    fn then<N: Flow, F: FnOnce(Self::Output) -> Result<N, Refusal> + Send>(
        self,
        next: F,
    ) -> Chain<Self, N, F> {
        Chain { first: self, next: Some(next), second: None }
    }

    /// Ends with what `finish` makes of what this one yields.
    fn finish<U: Send, F: FnOnce(Self::Output) -> Result<U, Refusal> + Send>(
        self,
        finish: F,
    ) -> Finish<Self, F> {
        Finish(self, Some(finish))
    }
}

impl<T: Flow> Then for T {}

/// See [`Then::then`].
pub(crate) struct Chain<A, B, F> {
    first: A,
    next: Option<F>,
    second: Option<B>,
}

impl<A: Flow, B: Flow, F> fmt::Debug for Chain<A, B, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.second {
            None => self.first.fmt(f),
            Some(second) => second.fmt(f),
        }
    }
}

impl<A, B, F> Flow for Chain<A, B, F>
where
    A: Flow,
    B: Flow,
    F: FnOnce(A::Output) -> Result<B, Refusal> + Send,
{
    type Output = B::Output;

    fn step(&mut self, input: Input) -> Step<B::Output> {
        if let Some(second) = &mut self.second {
            return second.step(input);
        }
        let (next, second) = (&mut self.next, &mut self.second);
        self.first.step(input).and_then(|output| match next.take().map(|next| next(output)) {
            Some(Ok(flow)) => second.insert(flow).step(Input::Start),
            Some(Err(refusal)) => Step::Refused(refusal),
            None => Step::Refused(Refusal::out_of_turn()),
        })
    }
}

/// See [`Then::finish`].
pub(crate) struct Finish<A, F>(A, Option<F>);

impl<A: Flow, F> fmt::Debug for Finish<A, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<A: Flow, U, F: FnOnce(A::Output) -> Result<U, Refusal> + Send> Flow for Finish<A, F> {
    type Output = U;

    fn step(&mut self, input: Input) -> Step<U> {
        self.0.step(input).and_then(|output| match self.1.take() {
            Some(finish) => Step::or_refused(finish(output).map(Step::Done)),
            None => Step::Refused(Refusal::out_of_turn()),
        })
    }
}

/// One request that may be repeated, and its answer.
#[derive(Debug)]
pub(crate) struct Fetch {
    request: Option<Request>,
    who: &'static str,
}

impl Fetch {
    pub(crate) fn new(who: &'static str, request: Request) -> Self {
        Self { request: Some(request), who }
    }
}

impl Flow for Fetch {
    type Output = Answer;

    fn step(&mut self, input: Input) -> Step<Answer> {
        match self.request.take() {
            Some(request) => Step::Send(request),
            None => Step::or_refused(input.answer(self.who).map(Step::Done)),
        }
    }
}

/// A conversation that cannot even begin.
impl Flow for Refusal {
    type Output = super::Grant;

    fn step(&mut self, _input: Input) -> Step<super::Grant> {
        Step::Refused(self.clone())
    }
}
