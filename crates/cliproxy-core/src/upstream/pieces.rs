//! Bodies of requests in pieces: what passes as the client sent it is not copied for the name that is changed in it.
//!
//! Whoever reads a body asks for the [whole](Pieces::whole); the connection takes the pieces one after the other.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};

/// A body in up to three pieces. Small, for every open connection has room for a few dozen requests.
#[derive(Clone, Debug, Default)]
pub struct Pieces {
    first: Bytes,
    rest: Option<Box<[Bytes; 2]>>,
}

impl From<Bytes> for Pieces {
    fn from(whole: Bytes) -> Self {
        Self { first: whole, rest: None }
    }
}

impl From<[Bytes; 3]> for Pieces {
    fn from([first, second, third]: [Bytes; 3]) -> Self {
        Self { first, rest: Some(Box::new([second, third])) }
    }
}

impl Pieces {
    /// The body in one piece, for which several are copied.
    pub fn whole(&self) -> Bytes {
        match self.rest.as_deref() {
            None => self.first.clone(),
            Some([second, third]) => [&self.first[..], second, third].concat().into(),
        }
    }

    /// Puts what `change` makes of the text in the body's place. A body that it leaves alone, or that is no text, stays
    /// in its pieces.
    pub(crate) fn change(&mut self, change: impl FnOnce(&str) -> Option<String>) {
        let whole = self.whole();
        if let Some(changed) = std::str::from_utf8(&whole).ok().and_then(change) {
            *self = Bytes::from(changed).into();
        }
    }

    fn each(&self) -> impl Iterator<Item = &Bytes> {
        std::iter::once(&self.first).chain(self.rest.iter().flat_map(|rest| rest.iter()))
    }
}

impl Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { first, rest } = &mut *self;
        let mut each = std::iter::once(first).chain(rest.iter_mut().flat_map(|rest| rest.iter_mut()));
        let next = each.find(|piece| !piece.is_empty());
        Poll::Ready(next.map(|piece| Ok(Frame::data(std::mem::take(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        self.each().all(Bytes::is_empty)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.each().map(|piece| piece.len() as u64).sum())
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;

    use super::*;

    #[tokio::test]
    async fn pieces_are_sent_as_the_whole_that_they_are() {
        let [none, one, two] = [&b""[..], b"one", b"two"].map(Bytes::from_static);
        for pieces in [
            Pieces::default(),
            one.clone().into(),
            [none.clone(), one.clone(), two.clone()].into(),
            [one.clone(), none.clone(), two.clone()].into(),
            [one.clone(), two.clone(), one.clone()].into(),
        ] {
            let whole = pieces.whole();
            assert_eq!(pieces.size_hint().exact(), Some(whole.len() as u64));
            assert_eq!(pieces.is_end_stream(), whole.is_empty());
            assert_eq!(pieces.collect().await.unwrap().to_bytes(), whole);
        }
        assert_eq!(Pieces::from([one.clone(), two.clone(), one]).whole(), "onetwoone");
        assert_eq!(Pieces::from(two.clone()).whole().as_ptr(), two.as_ptr());
    }

    #[test]
    fn a_change_puts_the_pieces_together_and_none_leaves_them() {
        let [one, two] = [&b"one"[..], b"two"].map(Bytes::from_static);
        let mut pieces = Pieces::from([one.clone(), two.clone(), one]);
        pieces.change(|text| {
            assert_eq!(text, "onetwoone");
            None
        });
        assert!(pieces.rest.is_some());
        pieces.change(|text| Some(text.replace("one", "1")));
        assert_eq!((pieces.whole(), pieces.rest.is_none()), ("1two1".into(), true));
        let mut no_text = Pieces::from(Bytes::from_static(b"\xff"));
        no_text.change(|_| Some(String::new()));
        assert_eq!(no_text.whole(), &b"\xff"[..]);
    }
}
