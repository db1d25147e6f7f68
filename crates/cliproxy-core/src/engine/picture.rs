//! Pictures by address, for upstreams that do not read addresses themselves.
//!
//! Done before a request is encoded, once per call: whoever is tried next gets the picture that was read. Which
//! addresses may be read, and what counts as a picture, is decided in [`crate::upstream`].

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::model::{Block, Content, Media, Request, Role, Str};

use super::{Engine, Job};
use crate::config::settings::FetchImages;
use crate::failure::Failure;
use crate::route::Offer;
use crate::upstream::Fetch;

/// Most pictures of a request that are read.
const MOST: usize = 16;

impl Engine {
    /// Puts pictures in the place of their addresses, where the upstream needs it.
    pub(super) async fn inline_pictures(&self, job: &mut Job, offer: &Offer) -> Result<(), Failure> {
        let snapshot = Arc::clone(&job.snapshot);
        let rules = &snapshot.settings.image_urls;
        let profile = offer.credential.profile_for(job.call.format);
        let is_wanted = match rules.fetch {
            FetchImages::Never => false,
            FetchImages::Needed => !profile.accepts_media_urls,
            FetchImages::Always => true,
        };
        // Between equal formats bytes pass, and what cannot be in the body need not be looked for.
        if !is_wanted
            || profile.format == job.call.format
            || job.peeked.is_form
            || !job.text()?.contains("http")
        {
            return Ok(());
        }
        let request = job.request()?;
        let mut wanted: Vec<Str> = Vec::new();
        let mut request = (*request).clone();
        each(&mut request, &mut |source| {
            if let Media::Url(url) = source
                && !wanted.contains(url)
            {
                wanted.push(Str::clone(url));
            }
        });
        if wanted.is_empty() {
            return Ok(());
        }
        if wanted.len() > MOST {
            return Err(refused(&format!("more than {MOST} images by address; send the images themselves")));
        }
        let end = tokio::time::Instant::now() + rules.time;
        let mut left = rules.bytes;
        let mut read = Vec::with_capacity(wanted.len());
        for url in &wanted {
            let time = end.saturating_duration_since(tokio::time::Instant::now());
            let fetch = Fetch { bytes: left, time, private_hosts: Arc::clone(&rules.private_hosts) };
            let fetched = self.0.clients.fetch(url, &fetch, &snapshot.settings.proxy).await;
            let picture = fetched.map_err(|why| refused(&format!("the image at {} {why}", host(url))))?;
            left = left.saturating_sub(picture.bytes.len());
            read.push((picture.mime, Str::from(STANDARD.encode(&picture.bytes))));
        }
        each(&mut request, &mut |source| {
            let Media::Url(url) = source else { return };
            let at = wanted.iter().position(|known| known == url);
            if let Some((mime, base64)) = at.and_then(|at| read.get(at)) {
                *source = Media::Inline { mime: Str::from(*mime), base64: Str::clone(base64) };
            }
        });
        job.request = Some(Arc::new(request));
        Ok(())
    }
}

/// Every picture that the client sent.
fn each(request: &mut Request, visit: &mut dyn FnMut(&mut Media)) {
    for turn in request.turns.iter_mut().filter(|turn| turn.role != Role::Assistant) {
        turn.blocks.iter_mut().for_each(|block| each_of(block, visit));
    }
}

fn each_of(block: &mut Block, visit: &mut dyn FnMut(&mut Media)) {
    match &mut block.content {
        Content::Image(image) => visit(&mut image.source),
        Content::ToolResult(result) => result.content.iter_mut().for_each(|block| each_of(block, visit)),
        _ => {}
    }
}

/// What may be told of an address: the rest of it may hold a secret.
fn host(address: &str) -> String {
    let url = url::Url::parse(address.trim()).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "the given address".to_owned())
}

fn refused(message: &str) -> Failure {
    Failure::client(Fault::new(Kind::InvalidRequest, message).with_code("invalid_image_url"))
}
