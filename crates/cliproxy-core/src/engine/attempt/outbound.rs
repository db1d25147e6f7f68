//! What goes out to an upstream: the client's request in its format, with what the owner's rules change of it.

use std::sync::Arc;

use bytes::Bytes;
use cliproxy_wire::Format;
use cliproxy_wire::codec::{Bridge, ClientContext, Encoded, Target};
use cliproxy_wire::estimate::{Family, Input};
use cliproxy_wire::format::encode_request;
use cliproxy_wire::lane;
use cliproxy_wire::profile::Dialect;

use super::{Attempt, echoes};
use crate::config::file::ImageGeneration;
use crate::config::payload;
use crate::engine::{Engine, Job, relay};
use crate::failure::{Failure, Rest, Retry};
use crate::provider::Operation;
use crate::route::Offer;
use crate::upstream::Pieces;

/// A request ready for one upstream.
pub(in crate::engine) struct Outbound {
    pub(in crate::engine) body: Pieces,
    pub(in crate::engine) betas: Vec<String>,
    pub(in crate::engine) way: Way,
    pub(in crate::engine) dropped: Option<String>,
}

/// How the answer will come back.
pub(in crate::engine) enum Way {
    /// Same format: bytes pass.
    Relay(relay::Plan),
    /// Through the canonical model.
    Translate(Box<Translation>),
    /// In one piece, to be read by whoever sent.
    Single,
}

/// What an answer through the canonical model needs to know of its request.
pub(in crate::engine) struct Translation {
    /// Back to the client's terms.
    pub(in crate::engine) bridge: Bridge,
    /// For whom the answer is written.
    pub(in crate::engine) context: ClientContext,
    /// What the upstream reads, for estimates.
    pub(in crate::engine) input: Input,
}

impl Translation {
    /// The way back of a request that went out as it came.
    ///
    /// # Errors
    /// A body that is no request.
    pub(in crate::engine) fn plain(job: &mut Job, offer: &Offer) -> Result<Box<Self>, Failure> {
        let request = job.take_request()?;
        let context = job.client_context(&request, echoes(job, offer));
        let input = Input::new(request, Family::of(&offer.upstream));
        Ok(Box::new(Self { bridge: Bridge::default(), context, input }))
    }
}

impl Way {
    /// The word for it.
    pub(in crate::engine) fn lane(&self) -> &'static str {
        match self {
            Self::Relay(plan) => plan.lane(),
            Self::Translate(_) | Self::Single => "translate",
        }
    }
}

impl Engine {
    pub(super) fn outbound(
        &self,
        job: &mut Job,
        attempt: &Attempt<'_>,
        asks_stream: bool,
    ) -> Result<Outbound, Failure> {
        let offer = attempt.offer;
        let profile = offer.profile(job.call.format);
        let wants_stream = job.call.operation == Operation::Stream;
        let same_format = match job.call.operation {
            // A conversation is compacted in the client's format or not at all; the provider knows.
            Operation::Compact => true,
            // A stream of Responses ends with the whole answer.
            _ => {
                profile.format == job.call.format
                    && (wants_stream == asks_stream || profile.format == Format::Responses)
            }
        };
        let snapshot = Arc::clone(&job.snapshot);
        let memory = self.0.memories.shared(job, offer);
        let target = Target {
            profile,
            caps: &offer.caps,
            model: &offer.upstream,
            suffix: job.suffix,
            stream: asks_stream,
            scope: Some(&offer.credential.scope),
            strictness: snapshot.settings.translation.strictness,
            table: &snapshot.reasoning,
            schemas: &self.0.schemas,
            memory: Some(&memory),
            repair: attempt.repair,
        };
        let mut outbound = if same_format {
            match relay::request(job, offer, &target)? {
                Some(outbound) => outbound,
                None => translated(job, offer, &target)?,
            }
        } else {
            translated(job, offer, &target)?
        };
        withhold_image_tool(job, offer, &mut outbound);
        offer_x_search(job, offer, &mut outbound);
        apply_payload(job, offer, &mut outbound.body);
        Ok(outbound)
    }
}

fn translated(job: &mut Job, offer: &Offer, target: &Target<'_>) -> Result<Outbound, Failure> {
    let request = job.take_request()?;
    let context = job.client_context(&request, echoes(job, offer));
    // What one upstream cannot express another may: such a refusal moves on, without rest.
    let encoded = encode_request(request, target).map_err(|error| {
        let retry = if error.kind() == cliproxy_wire::ErrorKind::Unsupported {
            Retry::Next(Rest::None)
        } else {
            Retry::Never
        };
        Failure::client(error).with_retry(retry)
    })?;
    let Encoded { request, body, betas, bridge, notes } = encoded;
    let body = Bytes::from(body);
    let family = Family::of(&offer.upstream);
    // Claude's streams tell it first, before most upstreams do; others hardly ever have to ask.
    let is_told_first = job.call.format == Format::Claude && job.call.operation == Operation::Stream;
    let input = if is_told_first {
        Input::new(request, family)
    } else {
        Input::of_body(target.profile.format, body.clone(), family)
    };
    Ok(Outbound {
        body: body.into(),
        betas,
        way: Way::Translate(Box::new(Translation { bridge, context, input })),
        dropped: notes.header(),
    })
}

/// Takes the tool that makes images out, where the owner has switched it off.
fn withhold_image_tool(job: &Job, offer: &Offer, outbound: &mut Outbound) {
    let images = job.snapshot.settings.translation.images;
    let is_off = matches!(images, ImageGeneration::Disabled | ImageGeneration::DisabledInChat);
    let format = offer.profile(job.call.format).format;
    if !is_off || !matches!(format, Format::Chat | Format::Responses) {
        return;
    }
    let Outbound { body, dropped, .. } = outbound;
    body.change(|text| {
        let (changed, places) = lane::without_image_tool(text)?;
        *dropped = Some(dropped.take().into_iter().chain(places).collect::<Vec<_>>().join(", "));
        Some(changed)
    });
}

/// Offers xAI's search of X, where the owner wants that.
fn offer_x_search(job: &Job, offer: &Offer, outbound: &mut Outbound) {
    let profile = offer.profile(job.call.format);
    let is_wanted = job.snapshot.settings.translation.inject_x_search
        && profile.dialect == Dialect::Xai
        && profile.format == Format::Responses
        && matches!(job.call.operation, Operation::Generate | Operation::Stream);
    if is_wanted {
        outbound.body.change(lane::with_x_search);
    }
}

fn apply_payload(job: &Job, offer: &Offer, body: &mut Pieces) {
    let rules = &job.snapshot.settings.payload;
    if rules.is_empty() {
        return;
    }
    let models = [&*offer.upstream, &*job.model, &*job.requested];
    let profile = offer.profile(job.call.format);
    let subject = payload::Subject {
        protocol: payload::Protocol::of(profile.format),
        client_protocol: payload::Protocol::of(job.call.format),
        models: &models,
        headers: &job.call.headers,
        root: profile.is_enveloped.then_some("request"),
    };
    if rules.concern(&subject) {
        body.change(|text| rules.apply(&subject, text));
    }
}
