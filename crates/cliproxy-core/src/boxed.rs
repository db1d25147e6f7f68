//! Futures in boxes that they are made in.

use std::pin::Pin;

/// Boxes the future that `make` gives. `Box::pin` has a future made first and then moved into its box, which copies all the
/// room that it will need one day: kilobytes for those of a request, when all that is in it so far are its arguments.
/// Here the box is there first.
#[inline]
pub fn in_place<F: Future>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(Box::write(Box::new_uninit(), make()))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::in_place;

    #[test]
    fn a_future_in_its_box_is_the_one_that_was_made() {
        let text = "what it holds".to_owned();
        assert_eq!(in_place(|| async move { text }).now_or_never().as_deref(), Some("what it holds"));
    }
}
