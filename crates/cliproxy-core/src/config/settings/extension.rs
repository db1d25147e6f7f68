//! Settings of this program's own, beyond those of the program whose files it reads.

use std::sync::Arc;
use std::time::Duration;

use super::value::{count, is_on, text};
use crate::config::diagnostic::{Code, Report};
use crate::config::file;

/// Most of all pictures of a request together when the file says nothing, in MiB.
const DEFAULT_PICTURES_MIB: u64 = 20;
/// Longest time for all of them when the file says nothing.
const DEFAULT_SECONDS: u32 = 30;

/// Pictures that requests name by address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImageUrls {
    /// When they are read here.
    pub fetch: FetchImages,
    /// Most of all pictures of a request together.
    pub bytes: usize,
    /// Longest time for all of them.
    pub time: Duration,
    /// Hosts that may be read although they are not of the open web: `host` or `host:port`, in lower case.
    pub private_hosts: Arc<[String]>,
}

/// When pictures are read here instead of by the upstream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FetchImages {
    /// When the upstream does not read addresses.
    #[default]
    Needed,
    /// Whenever a request is translated.
    Always,
    /// Never; what needs it is refused.
    Never,
}

impl FetchImages {
    /// Name as written in the file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Needed => "needed",
            Self::Always => "always",
            Self::Never => "never",
        }
    }
}

/// Habits of Gemini-CLI-Proxy that its clients may rely on and others must not meet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GeminiCliProxy {
    /// The root document has its form.
    pub has_root_document: bool,
    /// Chat requests that do not say whether to stream do.
    pub streams_by_default: bool,
}

pub(super) fn image_urls(config: &file::Config, report: &mut Report) -> ImageUrls {
    let section = config.image_urls.as_deref();
    let fetch = section.and_then(|section| section.fetch.as_ref());
    let hosts = section.and_then(|section| section.private_hosts.as_ref());
    ImageUrls {
        fetch: match fetch.map(|member| (member, member.trim().to_ascii_lowercase())) {
            None => FetchImages::default(),
            Some((member, word)) => match word.as_str() {
                "" | "needed" => FetchImages::Needed,
                "always" => FetchImages::Always,
                "never" => FetchImages::Never,
                _ => {
                    report.problem(&member.origin, Code::UnknownImageChoice);
                    FetchImages::default()
                }
            },
        },
        bytes: picture_bytes(section, report),
        time: Duration::from_secs(u64::from(
            count(section.and_then(|section| section.max_seconds.as_ref()), DEFAULT_SECONDS).max(1),
        )),
        private_hosts: hosts
            .into_iter()
            .flat_map(|list| &list.value)
            .filter_map(|host| text(Some(host)).map(str::to_ascii_lowercase))
            .collect(),
    }
}

fn picture_bytes(section: Option<&file::ImageUrls>, report: &mut Report) -> usize {
    let mebibytes = match section.and_then(|section| section.max_mb.as_ref()) {
        None => DEFAULT_PICTURES_MIB,
        Some(member) => match u64::try_from(member.value) {
            Ok(mebibytes) if mebibytes > 0 => mebibytes,
            _ => {
                report.problem(&member.origin, Code::ImageLimit);
                DEFAULT_PICTURES_MIB
            }
        },
    };
    usize::try_from(mebibytes.saturating_mul(1 << 20)).unwrap_or(usize::MAX)
}

pub(super) fn gemini_cli_proxy(config: &file::Config) -> GeminiCliProxy {
    let section = config.gemini_cli_proxy.as_deref();
    GeminiCliProxy {
        has_root_document: is_on(section.and_then(|section| section.root_document.as_ref())),
        streams_by_default: is_on(section.and_then(|section| section.stream_by_default.as_ref())),
    }
}
