//! Rows of the table of routes: what one reads, what it answers, who may call it, and what is done.
//!
//! The router and the OpenAPI document are made of the same rows. The schema of an answer is that of the type which the
//! handler gives; what a handler reads of body and query has to be declared in its row, which tests hold it to
//! ([`Ask::json`](super::Ask::json), [`Ask::query`](super::Ask::query)).

use std::any::TypeId;

use futures_util::future::BoxFuture;
use http::Method;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::DeserializeOwned;

use super::Ask;
use super::answer::{Content, JSON, Outcome, Reply};

/// Largest body of a route that says nothing else.
const SMALL: usize = 1 << 20;

/// Makes a schema.
pub(super) type Shape = Box<dyn Fn(&mut SchemaGenerator) -> Schema + Send + Sync>;

/// Describes the ways in which a route may answer.
pub(super) type Answers = Box<dyn Fn(&mut SchemaGenerator) -> Vec<Content> + Send + Sync>;

/// What a route does with a request that was let in.
pub(super) type Run = Box<dyn Fn(Ask) -> BoxFuture<'static, Outcome> + Send + Sync>;

/// One method of one path.
pub(super) struct Endpoint {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    /// Largest body.
    pub(super) largest: usize,
    /// Bodies go to disk instead of being held.
    pub(super) is_spooled: bool,
    /// Something else than the management key is the secret.
    pub(super) is_open: bool,
    /// It writes the configuration; `If-Match` says which version of it.
    pub(super) is_edit: bool,
    /// It is refused where a configuration does not validate.
    pub(super) is_validated: bool,
    /// Members of the query.
    pub(super) queries: Vec<Parameter>,
    /// What it reads, by content type; any of them.
    pub(super) bodies: Vec<(&'static str, Shape)>,
    /// The type that the handler reads JSON into.
    pub(super) reads: Option<TypeId>,
    /// What it answers when all is well.
    pub(super) answers: Answers,
    pub(super) run: Run,
}

/// A member of the query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parameter {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) kind: Kind,
    pub(super) is_required: bool,
}

/// What a member of the query may be.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Text,
    /// A whole number that is not negative.
    Number,
    /// One of these words.
    Word(&'static [&'static str]),
}

impl Parameter {
    pub(super) const fn text(name: &'static str, about: &'static str) -> Self {
        Self { name, about, kind: Kind::Text, is_required: false }
    }

    pub(super) const fn number(name: &'static str, about: &'static str) -> Self {
        Self { name, about, kind: Kind::Number, is_required: false }
    }

    pub(super) const fn word(
        name: &'static str,
        about: &'static str,
        words: &'static [&'static str],
    ) -> Self {
        Self { name, about, kind: Kind::Word(words), is_required: false }
    }

    pub(super) const fn required(self) -> Self {
        Self { is_required: true, ..self }
    }
}

/// A row. Its answer is described by the type that `run` gives.
pub(super) fn endpoint<F, Work, R>(
    method: Method,
    path: &'static str,
    about: &'static str,
    run: F,
) -> Endpoint
where
    F: Fn(Ask) -> Work + Send + Sync + 'static,
    Work: Future<Output = Outcome<R>> + Send + 'static,
    R: Reply + 'static,
{
    Endpoint {
        method,
        path,
        about,
        largest: SMALL,
        is_spooled: false,
        is_open: false,
        is_edit: false,
        is_validated: false,
        queries: Vec::new(),
        bodies: Vec::new(),
        reads: None,
        answers: Box::new(R::described),
        run: Box::new(move |ask| {
            let work = run(ask);
            Box::pin(async move { work.await.map(R::render) })
        }),
    }
}

impl Endpoint {
    /// Takes bodies of this size.
    pub(super) fn takes(self, largest: usize) -> Self {
        Self { largest, ..self }
    }

    /// Takes bodies of this size, by way of the disk.
    pub(super) fn spools(self, largest: usize) -> Self {
        Self { largest, is_spooled: true, ..self }
    }

    /// Reads these members of the query.
    pub(super) fn asks(self, queries: impl Into<Vec<Parameter>>) -> Self {
        Self { queries: queries.into(), ..self }
    }

    /// Reads its body into this type, with an example of it.
    pub(super) fn reads<T: DeserializeOwned + JsonSchema + 'static>(mut self) -> Self {
        self.reads = Some(TypeId::of::<T>());
        self.or_reads(JSON, SchemaGenerator::subschema_for::<T>)
    }

    /// Reads its body into this type, of which more can be said.
    pub(super) fn reads_as<T: DeserializeOwned + 'static>(
        mut self,
        shape: impl Fn(&mut SchemaGenerator) -> Schema + Send + Sync + 'static,
    ) -> Self {
        self.reads = Some(TypeId::of::<T>());
        self.or_reads(JSON, shape)
    }

    /// Reads a body of this content type, too.
    pub(super) fn or_reads(
        mut self,
        media: &'static str,
        shape: impl Fn(&mut SchemaGenerator) -> Schema + Send + Sync + 'static,
    ) -> Self {
        self.bodies.push((media, Box::new(shape)));
        self
    }

    /// Answers JSON of this shape.
    pub(super) fn gives(
        self,
        shape: impl Fn(&mut SchemaGenerator) -> Schema + Send + Sync + 'static,
    ) -> Self {
        let answers = move |generator: &mut SchemaGenerator| vec![Content::json(shape(generator))];
        Self { answers: Box::new(answers), ..self }
    }

    /// Answers `{name: …}` with a value of this shape.
    pub(super) fn gives_member(
        self,
        name: &'static str,
        shape: impl Fn(&mut SchemaGenerator) -> Schema + Send + Sync + 'static,
    ) -> Self {
        self.gives(move |generator| member(name, &shape(generator)))
    }

    /// Answers one of these.
    pub(super) fn gives_any(
        self,
        answers: impl Fn(&mut SchemaGenerator) -> Vec<Content> + Send + Sync + 'static,
    ) -> Self {
        Self { answers: Box::new(answers), ..self }
    }

    /// Answers a text of one of these content types.
    pub(super) fn gives_text(self, media: &'static [&'static str]) -> Self {
        let answers = move |_: &mut SchemaGenerator| media.iter().map(|media| Content::text(media)).collect();
        Self { answers: Box::new(answers), ..self }
    }

    /// Needs no management key.
    pub(super) fn open(self) -> Self {
        Self { is_open: true, ..self }
    }

    /// Writes the configuration, and is refused where that does not validate.
    pub(super) fn edits(self) -> Self {
        Self { is_edit: true, ..self.validates() }
    }

    /// Refuses what is no valid configuration.
    pub(super) fn validates(self) -> Self {
        Self { is_validated: true, ..self }
    }
}

/// An object with one member.
pub(super) fn member(name: &str, shape: &Schema) -> Schema {
    json_schema!({"type": "object", "required": [name], "properties": {name: shape}})
}
