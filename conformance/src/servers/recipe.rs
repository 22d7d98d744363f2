//! What the starter has to know of a kind of server.

use std::path::{Path, PathBuf};

/// How to start one kind of server and how to hear from it. Adding a backend adds one of these.
///
/// ```
/// use holdover_conformance::servers;
///
/// let recipe = servers::redis_durable().with_password("secret").with_argument("--maxmemory 64mb");
/// assert_eq!(recipe.name, "redis");
/// ```
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The name, which is also the backend's folder and feature: `redis` is found by `HOLDOVER_TEST_REDIS_URL`.
    pub name: &'static str,
    /// The programs that will do, best first.
    pub programs: &'static [&'static str],
    /// Where such a server listens when a URL names no port.
    pub default_port: u16,
    /// The command line, without the program.
    pub arguments: fn(&Launch) -> Vec<String>,
    /// The URL that a store connects to.
    pub url: fn(&Launch) -> String,
    /// What is sent on a new connection to ask whether the server is ready.
    pub question: fn(&Launch) -> Vec<u8>,
    /// What the answers have to hold, all of it, given the process id: a server that says its id cannot be mistaken
    /// for another one that took the port first.
    pub ready: fn(&Launch, u32) -> Vec<Vec<u8>>,
    /// More for the command line, one option with its value each.
    pub more_arguments: Vec<String>,
    /// The password that clients have to give, if any.
    pub password: Option<String>,
}

impl Recipe {
    /// Adds an option with its value, separated by spaces: `--maxmemory 64mb`.
    #[must_use]
    pub fn with_argument(mut self, argument: impl Into<String>) -> Self {
        self.more_arguments.push(argument.into());
        self
    }

    /// Makes clients give a password.
    #[must_use]
    pub fn with_password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }
}

/// One server about to be started: what a [`Recipe`] builds its command line and its URL from.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The port of 127.0.0.1 to listen on.
    pub port: u16,
    /// The directory for everything it writes.
    pub directory: PathBuf,
    /// The password that clients have to give, if any.
    pub password: Option<String>,
}

impl Launch {
    pub(super) fn new(recipe: &Recipe, port: u16, directory: &Path) -> Self {
        Self { port, directory: directory.to_owned(), password: recipe.password.clone() }
    }

    pub(super) fn command_line(&self, recipe: &Recipe) -> Vec<String> {
        let mut arguments = (recipe.arguments)(self);
        for more in &recipe.more_arguments {
            arguments.extend(more.split(' ').map(str::to_owned));
        }
        arguments
    }
}
