//! Which kind of stream an upstream sends, found out by its first byte.

use super::{ArrayDecoder, Decoder, Frame};
use crate::fault::{Fault, Kind};

/// What the beginning of a body says about the rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Server-sent events, as far as one can tell.
    Events,
    /// One JSON object: the upstream answered a stream request with a whole body.
    Object,
    /// A JSON array: the chunks of a stream, one by one.
    Array,
    /// Markup: a page of something between us and the upstream.
    Markup,
}

/// Judges a body by its first byte behind white space and byte order mark; `None` while there is none.
pub fn sniff(bytes: &[u8]) -> Option<Shape> {
    let bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace())?;
    Some(match first {
        b'{' => Shape::Object,
        b'[' => Shape::Array,
        b'<' => Shape::Markup,
        _ => Shape::Events,
    })
}

/// Reads whatever an upstream sends in answer to a stream request.
#[derive(Debug)]
pub struct StreamReader {
    state: State,
    limit: usize,
}

#[derive(Debug)]
enum State {
    /// Only white space, or part of a byte order mark, has arrived.
    Undecided(Vec<u8>),
    Events(Decoder),
    Array(ArrayDecoder),
    /// A whole body, or a page of markup, gathered.
    Whole(Shape, Vec<u8>),
    Done,
}

/// How a stream ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// It was a stream, and all its frames were handed out.
    Stream,
    /// It was one JSON body, given from its first brace: decode it as such and unfold it.
    Body(Vec<u8>),
}

impl StreamReader {
    /// A reader that refuses frames and bodies longer than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { state: State::Undecided(Vec::new()), limit }
    }

    /// What the stream turned out to be; `None` before its first byte that says something.
    pub fn shape(&self) -> Option<Shape> {
        match &self.state {
            State::Undecided(_) | State::Done => None,
            State::Events(_) => Some(Shape::Events),
            State::Array(_) => Some(Shape::Array),
            State::Whole(shape, _) => Some(*shape),
        }
    }

    /// Reads the next bytes and hands out every frame that ends in them.
    ///
    /// # Errors
    /// When a frame is too large; the stream is unusable from then on.
    pub fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(Frame<'_>)) -> Result<(), Fault> {
        match &mut self.state {
            State::Events(decoder) => decoder.push(bytes, each),
            State::Array(decoder) => decoder.push(bytes, each),
            State::Whole(_, body) => {
                if body.len().saturating_add(bytes.len()) > self.limit {
                    self.state = State::Done;
                    return Err(Fault::new(
                        Kind::BadUpstream,
                        format!(
                            "the upstream's body is larger than {} bytes, which is the most that is read",
                            self.limit
                        ),
                    ));
                }
                body.extend_from_slice(bytes);
                Ok(())
            }
            State::Undecided(start) if start.is_empty() => {
                let Some(state) = decide(bytes, self.limit) else {
                    start.extend_from_slice(bytes);
                    return Ok(());
                };
                self.state = state;
                self.push(bytes, each)
            }
            State::Undecided(start) => {
                start.extend_from_slice(bytes);
                let start = std::mem::take(start);
                if let Some(state) = decide(&start, self.limit) {
                    self.state = state;
                    return self.push(&start, each);
                }
                self.state = State::Undecided(shortened(start));
                Ok(())
            }
            State::Done => Ok(()),
        }
    }

    /// Hands out what is pending when the stream is over, and says what it was.
    ///
    /// # Errors
    /// When it was a page of markup.
    pub fn finish(&mut self, each: &mut dyn FnMut(Frame<'_>)) -> Result<Ending, Fault> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::Events(mut decoder) => decoder.finish(each).map(|()| Ending::Stream),
            State::Whole(Shape::Object, body) => Ok(object(body, each)),
            State::Whole(_, page) => Err(Fault::page(&page)),
            State::Undecided(_) | State::Array(_) | State::Done => Ok(Ending::Stream),
        }
    }
}

/// Blank lines say nothing and need not be kept; that a line has begun does, and so does half a byte order mark.
fn shortened(mut start: Vec<u8>) -> Vec<u8> {
    if start.len() > 64 {
        let has_begun = !start.ends_with(b"\n") && !start.ends_with(b"\r");
        start.clear();
        start.extend(has_begun.then_some(b' '));
    }
    start
}

fn decide(bytes: &[u8], limit: usize) -> Option<State> {
    // Half a byte order mark decides nothing.
    if bytes.len() < 3 && b"\xEF\xBB\xBF".starts_with(bytes) {
        return None;
    }
    Some(match sniff(bytes)? {
        Shape::Events => State::Events(Decoder::new(limit)),
        Shape::Array => State::Array(ArrayDecoder::new(limit)),
        shape @ (Shape::Object | Shape::Markup) => State::Whole(shape, Vec::new()),
    })
}

/// One JSON value is a body; JSON lines are a stream after all.
fn object(mut body: Vec<u8>, each: &mut dyn FnMut(Frame<'_>)) -> Ending {
    let blank = body.iter().position(|byte| *byte == b'{').unwrap_or_default();
    body.drain(..blank);
    let is_lines = crate::json::Reader::from_bytes(&body)
        .is_ok_and(|mut reader| reader.skip().is_ok() && reader.finish().is_err());
    if !is_lines {
        return Ending::Body(body);
    }
    let mut decoder = Decoder::default();
    let outcome = decoder.push(&body, each).and_then(|()| decoder.finish(each));
    if outcome.is_ok() { Ending::Stream } else { Ending::Body(body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8], size: usize) -> (Vec<String>, Result<Ending, Fault>) {
        let mut found = Vec::new();
        let mut each = |frame: Frame<'_>| {
            if let Frame::Data { data, .. } = frame {
                found.push(data.to_owned());
            }
        };
        let mut reader = StreamReader::new(1 << 20);
        for chunk in text.chunks(size) {
            reader.push(chunk, &mut each).unwrap();
        }
        let ending = reader.finish(&mut each);
        (found, ending)
    }

    #[test]
    fn the_first_byte_decides() {
        for size in [1, 2, 1000] {
            let (found, ending) = read(b"\xEF\xBB\xBF\ndata: {}\n\n", size);
            assert_eq!((found, ending.unwrap()), (vec!["{}".to_owned()], Ending::Stream));
            let (found, ending) = read(b" [{},\n{\"a\":1}", size);
            assert_eq!((found.len(), ending.unwrap()), (2, Ending::Stream));
            let (found, ending) = read(b"{\"a\":\n1}\n", size);
            assert_eq!((found.len(), ending.unwrap()), (0, Ending::Body(b"{\"a\":\n1}\n".to_vec())));
            let (found, ending) = read(b"{\"a\":1}\n{\"a\":2}\n", size);
            assert_eq!((found.len(), ending.unwrap()), (2, Ending::Stream));
            let (found, ending) = read(b"", size);
            assert_eq!((found.len(), ending.unwrap()), (0, Ending::Stream));
        }
    }

    #[test]
    fn a_page_is_an_error_that_quotes_its_words() {
        let page =
            b"<html><head><style>a { b: c }</style><title>502 Bad Gateway</title></head>\n<h1>nginx</h1>";
        let fault = read(page, 7).1.unwrap_err();
        assert_eq!(fault.kind, Kind::BadUpstream);
        assert!(fault.message.ends_with("answer: 502 Bad Gateway nginx"), "{}", fault.message);
    }

    #[test]
    fn blank_lines_without_end_are_not_kept() {
        let mut reader = StreamReader::new(1 << 20);
        for _ in 0..1000 {
            reader.push(b"\n\n", &mut |_| {}).unwrap();
        }
        assert!(matches!(&reader.state, State::Undecided(start) if start.len() <= 64));
    }

    #[test]
    fn what_follows_many_blanks_does_not_depend_on_chunks() {
        for line in ["data: {}", ": said", "{\"a\":1}"] {
            for blanks in [" ".repeat(100), "\n".repeat(100), format!("{}\r\n ", " ".repeat(90))] {
                let text = format!("{blanks}{line}\n\n");
                let whole = read(text.as_bytes(), text.len());
                for size in [1, 7, 64, 65, 100] {
                    assert_eq!(read(text.as_bytes(), size), whole, "{size} {text:?}");
                }
            }
        }
    }
}
