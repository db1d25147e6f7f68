#![doc = include_str!("../README.md")]
#![warn(missing_docs)]

/// A file of the dashboard.
#[derive(Clone, Copy, Debug)]
pub struct File {
    /// Its path below the page, such as `dashboard/index-x.js`.
    pub path: &'static str,
    /// What it is.
    pub content_type: &'static str,
    /// Another one for another content.
    pub tag: &'static str,
    /// The content as it is, compressed with Brotli.
    pub brotli: &'static [u8],
}

/// What the build made: the page first. Empty where it could not be built; then there is [`PLAIN`].
pub static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/files.rs"));

/// The page of a program that was built without Node: what is missing and how to get it.
pub const PLAIN: &str = include_str!("plain.html");

/// The page.
pub fn page() -> Option<&'static File> {
    FILES.first()
}

/// A file by its path.
pub fn file(path: &str) -> Option<&'static File> {
    FILES.iter().find(|file| file.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The release is bounded, and so is the first visit over a slow line.
    const LARGEST: usize = 400 * 1024;

    #[test]
    fn the_dashboard_is_small_and_complete() {
        let size: usize = FILES.iter().map(|file| file.brotli.len()).sum();
        assert!(size < LARGEST, "{size} bytes");
        assert!(page().is_none_or(|page| page.path == "index.html"));
        assert!(FILES.iter().all(|file| !file.brotli.is_empty()));
        assert!(PLAIN.contains("CLIPROXY_DASHBOARD=build"));
    }
}
