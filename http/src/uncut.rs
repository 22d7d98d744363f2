//! A future that runs to its end, even if whoever awaits it goes away.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::runtime::Handle;

/// Its work panicked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Panicked;

/// Work that is polled in place, and what remains of it when this is dropped goes on as a task of its own.
///
/// The same promise as spawning the work and awaiting the task, without the task for the many that nobody drops.
pub(crate) struct Uncut<T: Send + 'static> {
    work: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
    runtime: Handle,
}

impl<T: Send + 'static> Uncut<T> {
    /// Must be called inside a tokio runtime, which takes over what remains.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self { work: Some(Box::pin(work)), runtime: Handle::current() }
    }
}

impl<T: Send + 'static> Future for Uncut<T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(work) = &mut self.work else {
            return Poll::Ready(Err(Panicked));
        };
        // After a panic the work is never polled again, so that nobody sees what it left half done.
        let polled = catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx)));
        let outcome = match polled {
            Ok(polled) => Ok(ready!(polled)),
            Err(_) => Err(Panicked),
        };
        self.work = None;
        Poll::Ready(outcome)
    }
}

impl<T: Send + 'static> Drop for Uncut<T> {
    fn drop(&mut self) {
        if let Some(rest) = self.work.take() {
            self.runtime.spawn(rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;

    use super::*;

    #[tokio::test]
    async fn what_is_awaited_runs_in_place() {
        assert_eq!(Uncut::new(async { 7 }).await, Ok(7));
    }

    #[tokio::test]
    async fn what_is_dropped_runs_to_its_end() {
        let (begin, begun) = oneshot::channel();
        let (finish, finished) = oneshot::channel();
        let mut work = Box::pin(Uncut::new(async move {
            begun.await.unwrap();
            finish.send("done").unwrap();
        }));
        let mut context = Context::from_waker(std::task::Waker::noop());
        assert!(work.as_mut().poll(&mut context).is_pending());
        drop(work);
        begin.send(()).unwrap();
        assert_eq!(finished.await, Ok("done"));
    }

    #[tokio::test]
    async fn a_panic_is_an_answer() {
        assert_eq!(Uncut::new(async { panic!("a defect") }).await, Err::<(), _>(Panicked));
    }

    #[test]
    fn what_is_dropped_outside_the_runtime_runs_to_its_end() {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (finish, finished) = oneshot::channel();
        let work = {
            let _inside = runtime.enter();
            Uncut::new(async move { finish.send(1).unwrap() })
        };
        drop(work);
        assert_eq!(runtime.block_on(finished), Ok(1));
    }
}
