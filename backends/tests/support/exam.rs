//! The exam on one real server of a kind: what the tests of all stores with a server have in common.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use async_trait::async_trait;
use holdover_api::{Clock, Error, SessionStore};
use holdover_conformance::servers::{self, Recipe, Server};
use holdover_conformance::{Harness, Node, PrivateServer, Raw};
use tokio::runtime::Runtime;

/// More than the time-outs that a service should have: the exam is about answers, and a busy machine that builds beside it
/// must not make it fail. The suite's own bound on every operation stands.
pub(crate) const PATIENCE: &str = "&connect_timeout=1s&response_timeout=1s";

/// A kind of server, and the access below a store on it.
#[async_trait]
pub(crate) trait Below: Raw + Sized {
    /// The name of the store.
    const NAME: &'static str;

    /// How the server that most cases share is started.
    fn shared() -> Recipe;

    /// How a server that one case breaks is started.
    fn private() -> Recipe;

    /// The parameter of a URL that keeps a place of this run apart from all others.
    fn place(prefix: &str, place: &str) -> String {
        format!("prefix={prefix}:{place}:")
    }

    /// Opens a store by its URL.
    async fn open(url: &str, clock: Arc<dyn Clock>) -> Result<Arc<dyn SessionStore>, Error> {
        holdover_backends::connect_with_clock(url, clock).await
    }

    /// Reaches the keys of the run on the server at a URL.
    fn reach(url: &str, prefix: &str) -> Self;

    /// Removes every key of the run.
    async fn clean_up(&self) -> Result<(), String>;
}

/// Opens stores on one server; a place is a prefix below the prefix of this run.
pub(crate) struct OnServer<B> {
    url: String,
    address: Option<SocketAddr>,
    below: std::marker::PhantomData<fn() -> B>,
}

/// What the keys of this run begin with, on a server that others may use as well.
pub(crate) fn run_prefix() -> String {
    format!("holdover-test-{}", std::process::id())
}

impl<B: Below> OnServer<B> {
    fn at(url: &str, address: Option<SocketAddr>) -> Self {
        Self { url: url.to_owned(), address, below: std::marker::PhantomData }
    }

    pub(crate) fn over(server: &Server) -> Arc<dyn Harness> {
        Arc::new(Self::at(server.url(), Some(server.address())))
    }
}

#[async_trait]
impl<B: Below> Harness for OnServer<B> {
    fn name(&self) -> String {
        B::NAME.to_owned()
    }

    async fn open(&self, node: Node) -> Result<Arc<dyn SessionStore>, Error> {
        let server = match (node.via, self.address) {
            (Some(via), Some(address)) => self.url.replace(&address.to_string(), &via.to_string()),
            _ => self.url.clone(),
        };
        let parameters_begin = if server.contains('?') { '&' } else { '?' };
        let place = B::place(&run_prefix(), &node.place);
        let url = format!("{server}{parameters_begin}{place}{PATIENCE}");
        B::open(&url, node.clock).await
    }

    fn raw(&self) -> Option<Arc<dyn Raw>> {
        Some(Arc::new(B::reach(&self.url, &run_prefix())))
    }

    fn address(&self) -> Option<SocketAddr> {
        self.address
    }

    async fn private_server(&self) -> Option<Result<PrivateServer, String>> {
        servers::private(&B::private(), Self::over).await
    }
}

/// The `main` of such a test.
pub(crate) fn examine<B: Below>() -> ExitCode {
    let runtime = Runtime::new().expect("a runtime starts");
    let server = match runtime.block_on(servers::shared(&B::shared())) {
        Ok(server) => server,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let verdict = holdover_conformance::main(OnServer::<B>::at(server.url(), server.address()));
    let below = B::reach(server.url(), &run_prefix());
    if let Err(error) = runtime.block_on(below.clean_up()) {
        eprintln!("error: the keys of this run could not be removed: {error}");
        return ExitCode::FAILURE;
    }
    verdict
}
