//! Pictures and documents by address, for upstreams that do not read addresses themselves.
//!
//! Done before a request is encoded, once per call: whoever is tried next gets what was read. Which addresses may be
//! read, and what counts as a picture or a document, is decided in [`crate::upstream`].

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cliproxy_wire::fault::{Fault, Kind};
use cliproxy_wire::model::{Block, Content, Media, Request, Role, Str, Turn};

use super::{Engine, Job, relay};
use crate::config::settings::FetchImages;
use crate::failure::Failure;
use crate::route::Offer;
use crate::upstream::{Fetch, Fetched, Wanted};

/// Most addresses of a request that are read.
const MOST: usize = 16;

impl Engine {
    /// Puts pictures and documents in the place of their addresses, where the upstream needs it.
    pub(super) async fn inline_media(&self, job: &mut Job, offer: &Offer) -> Result<(), Failure> {
        let snapshot = Arc::clone(&job.snapshot);
        let rules = &snapshot.settings.image_urls;
        let profile = offer.profile(job.call.format);
        let is_wanted = |wanted: Wanted| match (rules.fetch, wanted) {
            (FetchImages::Never, _) => false,
            (FetchImages::Needed, Wanted::Image) => !profile.accepts_media_urls,
            (FetchImages::Needed, Wanted::Document) => !profile.accepts_document_urls(),
            (FetchImages::Always, _) => true,
        };
        // Where bytes pass, and what cannot be in the body, need not be looked for.
        if !(is_wanted(Wanted::Image) || is_wanted(Wanted::Document))
            || (profile.format == job.call.format && !relay::names_files(job, profile))
            || job.peeked.is_form
            || !job.mentions("http")
        {
            return Ok(());
        }
        let request = job.request()?;
        let mut places: Vec<(Wanted, Str)> = Vec::new();
        let own = |turn: &&Turn| turn.role != Role::Assistant;
        for turn in request.turns.iter().filter(own) {
            addresses(&turn.blocks, &mut |wanted, url| {
                if is_wanted(wanted) && !places.iter().any(|known| known.0 == wanted && known.1 == *url) {
                    places.push((wanted, Str::clone(url)));
                }
            });
        }
        if places.is_empty() {
            return Ok(());
        }
        if let Some((wanted, _)) = places.get(MOST) {
            let told = format!("more than {MOST} images and files by address; send the content itself");
            return Err(refused(*wanted, &told));
        }
        let end = tokio::time::Instant::now() + rules.time;
        let mut left = rules.bytes;
        let mut read = Vec::with_capacity(places.len());
        for (wanted, url) in &places {
            let time = end.saturating_duration_since(tokio::time::Instant::now());
            let private_hosts = Arc::clone(&rules.private_hosts);
            let fetch = Fetch { wanted: *wanted, bytes: left, time, private_hosts };
            // Few requests come here; the others need not make room for it.
            let fetched = Box::pin(self.0.clients.fetch(url, &fetch, &snapshot.settings.proxy)).await;
            let noun = match wanted {
                Wanted::Image => "image",
                Wanted::Document => "file",
            };
            let file =
                fetched.map_err(|why| refused(*wanted, &format!("the {noun} at {} {why}", host(url))))?;
            left = left.saturating_sub(file.bytes.len());
            read.push((*wanted, Str::clone(url), media(&file)));
        }
        job.read.extend(read);
        if let Some(request) = &mut job.request {
            inline(request, &job.read);
        }
        Ok(())
    }
}

/// Puts what was read in the place of addresses.
pub(super) fn inline(request: &mut Request, read: &[(Wanted, Str, Media)]) {
    if read.is_empty() {
        return;
    }
    for turn in request.turns.iter_mut().filter(|turn| turn.role != Role::Assistant) {
        replace(&mut turn.blocks, read);
    }
}

/// What was read, as it stands in a request.
fn media(file: &Fetched) -> Media {
    let mime = Str::from(file.mime);
    let is_text = !file.mime.starts_with("image/") && file.mime != "application/pdf";
    match std::str::from_utf8(&file.bytes) {
        Ok(text) if is_text => Media::Text { mime, text: text.into() },
        _ => Media::Inline { mime, base64: STANDARD.encode(&file.bytes).into() },
    }
}

/// The name of a file by its address.
fn name(address: &str) -> Option<Str> {
    let url = url::Url::parse(address.trim()).ok()?;
    let last = url.path_segments()?.next_back().filter(|name| name.contains('.'))?;
    Some(last.into())
}

/// The addresses of all pictures and documents.
fn addresses(blocks: &[Block], visit: &mut dyn FnMut(Wanted, &Str)) {
    for block in blocks {
        match &block.content {
            Content::Image(image) => {
                if let Media::Url(url) = &image.source {
                    visit(Wanted::Image, url);
                }
            }
            Content::Document(document) => {
                if let Media::Url(url) = &document.source {
                    visit(Wanted::Document, url);
                }
            }
            Content::ToolResult(result) => addresses(&result.content, visit),
            _ => {}
        }
    }
}

/// Puts what was found at addresses in their place.
fn replace(blocks: &mut [Block], read: &[(Wanted, Str, Media)]) {
    let found = |wanted: Wanted, url: &Str| {
        read.iter().find(|known| known.0 == wanted && known.1 == *url).map(|(_, _, media)| media.clone())
    };
    for block in blocks {
        match &mut block.content {
            Content::Image(image) => {
                if let Media::Url(url) = &image.source
                    && let Some(file) = found(Wanted::Image, url)
                {
                    image.source = file;
                }
            }
            Content::Document(document) => {
                if let Media::Url(url) = &document.source
                    && let Some(file) = found(Wanted::Document, url)
                {
                    // The address goes, and what it calls the file with it.
                    if document.filename.is_none() {
                        document.filename = name(url);
                    }
                    document.source = file;
                }
            }
            Content::ToolResult(result) => replace(&mut result.content, read),
            _ => {}
        }
    }
}

/// What may be told of an address: the rest of it may hold a secret.
fn host(address: &str) -> String {
    let url = url::Url::parse(address.trim()).ok();
    url.and_then(|url| url.host_str().map(str::to_owned)).unwrap_or_else(|| "the given address".to_owned())
}

fn refused(wanted: Wanted, message: &str) -> Failure {
    let fault = Fault::new(Kind::InvalidRequest, message);
    Failure::client(match wanted {
        Wanted::Image => fault.with_code("invalid_image_url"),
        Wanted::Document => fault.with_code("invalid_file_url"),
    })
}
