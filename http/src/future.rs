//! The future of one response.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use holdover_api::Session;
use http::Response;
use pin_project_lite::pin_project;

use crate::commit::finish;
use crate::layer::Shared;

type Finishing<B> = Pin<Box<dyn Future<Output = Response<B>> + Send>>;

pin_project! {
    /// The response of a [`SessionService`](crate::SessionService): first the handler's future, in place, then, only
    /// if the handler has used the session, the commit.
    ///
    /// Dropped while the handler runs, none of its changes is committed (what
    /// [`Session::update`] has committed by then stays). Dropped later, all of them are.
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, B> {
        #[pin]
        handler: F,
        opened: Option<(Arc<Shared>, Session)>,
        finishing: Option<Finishing<B>>,
    }
}

impl<F, B> ResponseFuture<F, B> {
    pub(crate) fn new(shared: Arc<Shared>, session: Session, handler: F) -> Self {
        Self { handler, opened: Some((shared, session)), finishing: None }
    }

    /// The response of a layer that leaves the session to a layer further out.
    pub(crate) fn standing_aside(handler: F) -> Self {
        Self { handler, opened: None, finishing: None }
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
    B: From<&'static str> + Send + 'static,
{
    type Output = Result<Response<B>, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(finishing) = this.finishing {
            return finishing.as_mut().poll(cx).map(Ok);
        }
        let response = ready!(this.handler.poll(cx))?;
        let Some((shared, session)) = this.opened.take() else {
            return Poll::Ready(Ok(response));
        };
        if !session.was_used() {
            return Poll::Ready(Ok(response));
        }
        let finishing = this.finishing.insert(Box::pin(finish(shared, session, response)));
        finishing.as_mut().poll(cx).map(Ok)
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture")
            .field("opened", &self.opened.is_some())
            .field("finishing", &self.finishing.is_some())
            .finish_non_exhaustive()
    }
}
