//! MongoDB: a server by itself, one as a replica set of its own, or a set of several.

mod bson;
mod control;
mod set;
mod talk;
#[cfg(test)]
mod tests;

pub use set::MongodbSet;

use super::recipe::{Launch, Recipe};
use bson::Document;
use talk::message;

/// The name of every replica set that is started here, and of the database that every URL names.
const NAME: &str = "holdover";

/// The user that has to give the password, where there is one.
const USER: &str = "holdover";

/// A `mongod` by itself, which loses nothing that it acknowledged with `j: true`. A client must not retry writes on it:
/// for that there is [`mongodb_set_of_one`].
///
/// It removes what has expired once a minute; with [`mongodb_sweep`] more often.
pub fn mongodb() -> Recipe {
    Recipe {
        name: "mongodb",
        programs: &["mongod"],
        default_port: 27017,
        arguments,
        url,
        question,
        ready,
        more_arguments: Vec::new(),
        password: None,
    }
}

/// A `mongod` that is a replica set of its own: what a client may do on a set only, it may do here, and one server is
/// all there is to kill and to restart. Once it answers it is the primary.
///
/// The URL makes the client stay with the address that it was given, so that a proxy can stand in front.
pub fn mongodb_set_of_one() -> Recipe {
    let alone = Recipe { url: url_of_one, question: question_of_one, ready: ready_of_one, ..mongodb() };
    alone.with_argument(format!("--replSet {NAME}"))
}

/// The option that makes a MongoDB remove what has expired every so many seconds.
///
/// ```
/// use holdover_conformance::servers;
///
/// let recipe = servers::mongodb().with_argument(servers::mongodb_sweep(1));
/// assert_eq!(recipe.more_arguments, ["--setParameter ttlMonitorSleepSecs=1"]);
/// ```
pub fn mongodb_sweep(seconds: u32) -> String {
    format!("--setParameter ttlMonitorSleepSecs={seconds}")
}

fn arguments(launch: &Launch) -> Vec<String> {
    let port = launch.port.to_string();
    let directory = launch.directory.display().to_string();
    let mut arguments: Vec<String> = [
        "--bind_ip",
        "127.0.0.1",
        "--port",
        &port,
        "--dbpath",
        &directory,
        // Its place would be outside the directory.
        "--nounixsocket",
        "--wiredTigerCacheSizeGB",
        "0.25",
        // A journal that begins with three files of 100 MB is for other loads.
        "--wiredTigerEngineConfigString",
        "log=(file_max=32MB,prealloc=false)",
        "--setParameter",
        "diagnosticDataCollectionEnabled=false",
        // A primary that is asked to end would wait 15 s for its clients to notice.
        "--setParameter",
        "shutdownTimeoutMillisForSignaledShutdown=100",
    ]
    .map(str::to_owned)
    .into();
    if launch.password.is_some() {
        arguments.push("--auth".to_owned());
    }
    arguments
}

fn url(launch: &Launch) -> String {
    match &launch.password {
        Some(password) => {
            format!("mongodb://{USER}:{password}@127.0.0.1:{}/{NAME}?authSource=admin", launch.port)
        }
        None => format!("mongodb://127.0.0.1:{}/{NAME}", launch.port),
    }
}

fn url_of_one(launch: &Launch) -> String {
    let url = url(launch);
    let joint = if url.contains('?') { '&' } else { '?' };
    format!("{url}{joint}directConnection=true")
}

fn question(launch: &Launch) -> Vec<u8> {
    let Some(password) = &launch.password else {
        return message("admin", server_status());
    };
    // The first user may be made by anybody on this machine; afterwards this is refused, and does no harm.
    let everything = Document::default().with("role", "root").with("db", "admin");
    let user = Document::default()
        .with("createUser", USER)
        .with("pwd", password.as_str())
        .with("roles", vec![everything])
        .with("writeConcern", Document::default().with("w", 1).with("j", true));
    let known = Document::default().with("hello", 1).with("saslSupportedMechs", format!("admin.{USER}"));
    [message("admin", user), message("admin", known)].concat()
}

fn ready(launch: &Launch, process: u32) -> Vec<Vec<u8>> {
    match launch.password {
        // To a stranger it does not tell its id, but whether it knows the user.
        Some(_) => vec![b"\x04saslSupportedMechs\0".to_vec()],
        None => vec![[b"\x12pid\0".as_slice(), &i64::from(process).to_le_bytes()].concat()],
    }
}

fn question_of_one(launch: &Launch) -> Vec<u8> {
    // Refused when the set has begun already.
    let begin = Document::default().with("replSetInitiate", set::configuration(&[launch.port], None));
    let hello = Document::default().with("hello", 1);
    [question(launch), message("admin", begin), message("admin", hello)].concat()
}

fn ready_of_one(launch: &Launch, process: u32) -> Vec<Vec<u8>> {
    let primary = b"\x08isWritablePrimary\0\x01".to_vec();
    [ready(launch, process), vec![primary]].concat()
}

/// Without its longest parts.
fn server_status() -> Document {
    Document::default().with("serverStatus", 1).with("metrics", 0).with("wiredTiger", 0).with("tcmalloc", 0)
}
