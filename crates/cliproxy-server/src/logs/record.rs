//! The record of one request: what the client asked, what upstreams were asked and answered, what the client got.
//!
//! Everything is written as it passes. What the client gets comes at the same time as what the upstream says, so it goes
//! into a file of its own until the end and is appended then. An unfinished record has another name than a finished one.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use cliproxy_core::store::atomic::private;
use cliproxy_core::upstream::{Asked, Tape};
use http::{HeaderMap, Method, StatusCode, Uri};
use http_body::{Frame, SizeHint};

use super::content;
use super::short_id;
use super::store::{UNFINISHED, trim_errors};

/// The name of a record: the path, the time, and the request's id.
fn name(path: &str, request_id: &str) -> String {
    let path: String = path
        .trim_matches('/')
        .chars()
        .take(100)
        .map(|character| if character.is_ascii_alphanumeric() || character == '.' { character } else { '-' })
        .collect();
    let path = path.replace("..", "--");
    let stamp = super::now().strftime("%Y-%m-%dT%H%M%S").to_string();
    format!("{path}-{stamp}-{}.log", short_id(request_id))
}

/// Writes the record of a request that was refused, and keeps as many of them as may be. Blocks.
pub(crate) fn error_file(
    directory: &Path,
    most: u32,
    request_id: &str,
    asked: (&Method, &Uri, &HeaderMap, &[u8]),
    answered: (u16, &HeaderMap, &[u8]),
) -> io::Result<()> {
    let (method, uri, head, body) = asked;
    let path = directory.join(format!("error-{}", name(uri.path(), request_id)));
    let file = private(OpenOptions::new().create_new(true).write(true)).open(path)?;
    let mut out = BufWriter::new(file);
    content::request(&mut out, (method, uri), head, body)?;
    let (status, head, body) = answered;
    content::response(&mut out, status, head)?;
    out.write_all(body)?;
    out.write_all(b"\n")?;
    out.flush()?;
    trim_errors(directory, most)
}

/// A record that is being written.
#[derive(Clone, Debug)]
pub(crate) struct Recorded(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    request_id: Arc<str>,
    out: Mutex<Out>,
}

/// The file, and how much of it there is.
#[derive(Debug)]
struct Out {
    file: Option<BufWriter<File>>,
    /// Upstreams that were asked.
    attempts: u32,
    is_answering: bool,
}

impl Recorded {
    /// Begins a record. Blocks.
    pub(crate) fn begin(
        directory: &Path,
        request_id: &Arc<str>,
        (method, uri): (&Method, &Uri),
        head: &HeaderMap,
        body: &[u8],
    ) -> io::Result<Self> {
        let path = directory.join(name(uri.path(), request_id));
        let mut file = BufWriter::new(created(&with_suffix(&path, UNFINISHED))?);
        content::request(&mut file, (method, uri), head, body)?;
        let out = Out { file: Some(file), attempts: 0, is_answering: false };
        Ok(Self(Arc::new(Inner { path, request_id: Arc::clone(request_id), out: Mutex::new(out) })))
    }

    /// What takes down the exchange with upstreams.
    pub(crate) fn tape(&self) -> Arc<dyn Tape> {
        Arc::new(self.clone())
    }

    /// Follows an answer to its end.
    pub(crate) fn follow(self, response: Response) -> Response {
        let path = with_suffix(&self.0.path, &format!(".response{UNFINISHED}"));
        let begun = created(&path).and_then(|file| {
            let mut file = BufWriter::new(file);
            content::response(&mut file, response.status().as_u16(), response.headers())?;
            Ok(file)
        });
        match begun {
            Ok(file) => {
                response.map(|inner| Body::new(Followed { inner, file: Some(file), path, record: self }))
            }
            Err(error) => {
                self.broken(&error);
                response
            }
        }
    }

    /// Ends the record of a request that was refused. Blocks.
    pub(crate) fn refused(&self, status: u16, head: &HeaderMap, body: &[u8]) {
        let result = (|| {
            let mut file = self.finished()?;
            content::response(&mut file, status, head)?;
            file.write_all(body)?;
            file.write_all(b"\n")?;
            file.flush()?;
            fs::rename(with_suffix(&self.0.path, UNFINISHED), &self.0.path)
        })();
        if let Err(error) = result {
            self.broken(&error);
        }
    }

    /// Appends what the client got and gives the record its name. Blocks.
    fn end(&self, mut response: BufWriter<File>, path: &Path) -> io::Result<()> {
        response.flush()?;
        let mut file = self.finished()?;
        io::copy(&mut File::open(path)?, &mut file)?;
        file.write_all(b"\n")?;
        file.flush()?;
        fs::rename(with_suffix(&self.0.path, UNFINISHED), &self.0.path)?;
        fs::remove_file(path)
    }

    /// The file with everything about upstreams in it.
    fn finished(&self) -> io::Result<BufWriter<File>> {
        let mut out = self.0.out.lock().unwrap_or_else(PoisonError::into_inner);
        let mut file = out.file.take().ok_or_else(|| io::Error::other("the record broke off before"))?;
        if out.attempts > 0 {
            file.write_all(b"\n\n")?;
        }
        Ok(file)
    }

    fn write(&self, write: impl FnOnce(&mut Out, &mut BufWriter<File>) -> io::Result<()>) {
        let mut out = self.0.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(mut file) = out.file.take() else { return };
        match write(&mut out, &mut file) {
            Ok(()) => out.file = Some(file),
            Err(error) => self.broken(&error),
        }
    }

    /// A record that cannot be written holds nobody up.
    fn broken(&self, error: &io::Error) {
        tracing::warn!(request_id = %self.0.request_id, "the request log cannot be written: {error}");
    }
}

impl Tape for Recorded {
    fn asked(&self, asked: &Asked<'_>) {
        self.write(|out, file| {
            if out.attempts > 0 {
                file.write_all(b"\n\n")?;
            }
            out.attempts += 1;
            out.is_answering = false;
            let stamp = super::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
            writeln!(file, "=== API REQUEST {} ===\nTimestamp: {stamp}", out.attempts)?;
            writeln!(file, "Upstream URL: {}\nHTTP Method: {}", content::shown(asked.uri), asked.method)?;
            writeln!(file, "Auth: {}\nHeaders:", asked.credential)?;
            content::headers(file, asked.headers)?;
            file.write_all(b"\nBody:\n")?;
            file.write_all(asked.body)
        });
    }

    fn answered(&self, status: StatusCode, headers: &HeaderMap) {
        self.write(|out, file| {
            out.is_answering = true;
            out.attempts = out.attempts.max(1);
            let stamp = super::now().strftime("%Y-%m-%dT%H:%M:%S%:z").to_string();
            writeln!(file, "\n\n=== API RESPONSE {} ===\nTimestamp: {stamp}", out.attempts)?;
            writeln!(file, "Status: {}\nHeaders:", status.as_u16())?;
            content::headers(file, headers)?;
            file.write_all(b"\nBody:\n")
        });
    }

    fn piece(&self, bytes: &[u8]) {
        self.write(|_, file| file.write_all(bytes));
    }

    fn failed(&self, message: &str) {
        self.write(|out, file| {
            if !out.is_answering {
                write!(file, "\n\n=== API RESPONSE {} ===", out.attempts)?;
            }
            write!(file, "\nError: {message}")
        });
    }
}

/// A body that is written down as it passes.
struct Followed {
    inner: Body,
    file: Option<BufWriter<File>>,
    path: PathBuf,
    record: Recorded,
}

impl http_body::Body for Followed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = std::task::ready!(Pin::new(&mut self.inner).poll_frame(context));
        if let (Some(Ok(frame)), Some(file)) = (&frame, &mut self.file)
            && let Some(Err(error)) = frame.data_ref().map(|bytes| file.write_all(bytes))
        {
            self.record.broken(&error);
            self.file = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for Followed {
    fn drop(&mut self) {
        let Some(file) = self.file.take() else { return };
        let (path, record) = (std::mem::take(&mut self.path), self.record.clone());
        let end = move || {
            if let Err(error) = record.end(file, &path) {
                record.broken(&error);
            }
        };
        // Copying takes its time; threads that serve do not wait for it.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(end)),
            Err(_no_runtime) => end(),
        }
    }
}

fn created(path: &Path) -> io::Result<File> {
    private(OpenOptions::new().create_new(true).write(true)).open(path)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_leads_nowhere_and_ends_in_the_id() {
        for (path, start) in [
            ("/v1/chat/completions", "v1-chat-completions-20"),
            ("/v1beta/models/a:generateContent", "v1beta-models-a-generateContent-20"),
            ("/../../etc/passwd", "------etc-passwd-20"),
        ] {
            let name = name(path, "req_0123456789abcdef");
            assert!(name.starts_with(start) && name.ends_with("-01234567.log"), "{name}");
            assert!(!name.contains('/') && !name.contains(".."), "{name}");
        }
    }
}
