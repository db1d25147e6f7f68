//! Wakes that a task brings upon itself.
//!
//! Who takes a piece of a body wakes the connection that the piece came over, so that the next one is read. Where one task
//! does both, and is about to read on or has nothing more to read, such a wake has everything polled once more for nothing:
//! twice a request, from the client's socket down to the upstream's. It cannot be told from any other one by who wakes,
//! but by when: it comes while the piece is taken, on the thread that takes it. What is woken from elsewhere at the same
//! time is not touched.

use std::cell::{Cell, RefCell};
use std::sync::Arc;
use std::task::{Context, Wake, Waker};

thread_local! {
    static IS_QUIET: Cell<bool> = const { Cell::new(false) };
    static RUNG: RefCell<Option<Arc<Bell>>> = const { RefCell::new(None) };
}

/// Wakes a task, unless it is woken by what this thread does [`quietly`].
struct Bell(Waker);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if IS_QUIET.get() {
            RUNG.set(Some(Arc::clone(self)));
        } else {
            self.0.wake_by_ref();
        }
    }
}

/// Does `work` in such a way that what it does [`quietly`] wakes nobody.
pub fn able_to_be_quiet<F: Future>(work: F) -> impl Future<Output = F::Output> {
    // Boxed, since a future that keeps what it was given, pinned, has room for it twice.
    let mut work = Box::pin(work);
    let mut known: Option<(Waker, Waker)> = None;
    std::future::poll_fn(move |context| {
        let task = context.waker();
        let (_, bell) = match known.take().filter(|(known, _)| known.will_wake(task)) {
            Some(same) => known.insert(same),
            None => known.insert((task.clone(), Waker::from(Arc::new(Bell(task.clone()))))),
        };
        work.as_mut().poll(&mut Context::from_waker(bell))
    })
}

/// A wake that did not take place.
pub struct Held(Arc<Bell>);

impl std::fmt::Debug for Held {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Held")
    }
}

impl Held {
    /// Lets it take place.
    pub fn wake(self) {
        self.0.0.wake_by_ref();
    }
}

/// Does `work` without waking whoever is [able to be quiet](able_to_be_quiet). Gives back the last wake that was held.
pub fn quietly<T>(work: impl FnOnce() -> T) -> (T, Option<Held>) {
    /// A panic must not leave a thread quiet.
    struct Quiet;

    impl Drop for Quiet {
        fn drop(&mut self) {
            IS_QUIET.set(false);
        }
    }

    IS_QUIET.set(true);
    let quiet = Quiet;
    let done = work();
    drop(quiet);
    (done, RUNG.take().map(Held))
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Poll;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often a task is woken while it polls `step`.
    fn woken(step: impl FnMut(&mut Context<'_>)) -> usize {
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut step = step;
        let work = std::future::poll_fn(|context| {
            step(context);
            Poll::<()>::Pending
        });
        let mut work = pin!(able_to_be_quiet(work));
        assert!(work.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        count.0.load(Ordering::Relaxed)
    }

    #[test]
    fn what_is_done_quietly_wakes_nobody_and_everything_else_does() {
        assert_eq!(woken(|context| context.waker().wake_by_ref()), 1);
        assert_eq!(woken(|context| drop(quietly(|| context.waker().wake_by_ref()))), 0);
        let held = woken(|context| {
            let ((), held) = quietly(|| context.waker().wake_by_ref());
            held.unwrap().wake();
        });
        assert_eq!(held, 1);
        assert!(quietly(|| ()).1.is_none());
    }

    #[test]
    fn other_threads_wake_meanwhile() {
        let elsewhere = woken(|context| {
            let waker = context.waker().clone();
            let ((), held) = quietly(|| std::thread::spawn(move || waker.wake()).join().unwrap());
            assert!(held.is_none());
        });
        assert_eq!(elsewhere, 1);
    }

    #[test]
    fn a_panic_leaves_nobody_quiet() {
        let woken = woken(|context| {
            assert!(std::panic::catch_unwind(|| quietly(|| panic!("broken"))).is_err());
            context.waker().wake_by_ref();
        });
        assert_eq!(woken, 1);
    }
}
