//! Over TLS: what the store trusts is what the system trusts, and it never does without.
//!
//! What the system trusts is a variable of the environment (`SSL_CERT_FILE`), which a process cannot safely change for
//! itself. So the client runs in a process of its own: this test program again, with the one test that is the client.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use holdover_api::{
    Clock, Effect, ErrorKind, On, SaveAnswer, SessionStore, SessionStoreExt, SystemClock, within,
};
use holdover_conformance::servers::{self, Server};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use redis::FromRedisValue;
use redis::aio::MultiplexedConnection;
use tokio::process::Command;

use crate::support::{key, write};

/// The host of every URL here.
const HOST: &str = "127.0.0.1";
/// The path of `client_of_the_other_tests`, for the test program's filter.
const CLIENT: &str = "tls::client_of_the_other_tests";
/// Names the URL to the client; without it the client has nothing to do.
const URL_VARIABLE: &str = "HOLDOVER_TLS_CLIENT_URL";
/// What the client says when everything went well.
const WORKED: &str = "saved, loaded and deleted";
/// Of a client, in which a busy machine may take its time for a handshake.
const PATIENT: &str = "connect_timeout=10s&response_timeout=10s";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server that listens for TLS and nothing else.
struct TlsServer {
    server: Server,
    /// Made before the plain port was closed: it is the only way in without TLS.
    plain: MultiplexedConnection,
}

impl TlsServer {
    /// The starter knows the server by a plain answer; then the port changes to TLS.
    async fn start(authority: &Authority, certified_host: &str, asks_clients: &str) -> Self {
        let server = Server::start(&servers::redis()).await.unwrap();
        let plain = plain_connection(&server).await;
        let started = Self { server, plain };

        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([certified_host.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, authority).unwrap();
        let port = started.server.address().port().to_string();
        let settings = [
            ("tls-cert-file", started.file("server.crt", &certificate.pem())),
            ("tls-key-file", started.file("server.key", &key.serialize_pem())),
            ("tls-ca-cert-file", started.file("authority.crt", &authority.pem())),
            ("tls-auth-clients", asks_clients.to_owned()),
            ("port", "0".to_owned()),
            ("tls-port", port),
        ];
        for (name, value) in settings {
            let mut set = redis::cmd("CONFIG");
            set.arg("SET").arg(name).arg(value);
            let answer: redis::RedisResult<()> = set.query_async(&mut started.plain.clone()).await;
            answer.unwrap_or_else(|error| panic!("set {name}; was this server built with tls? {error}"));
        }
        started
    }

    /// Writes a file beside what the server writes, and answers its path.
    fn file(&self, name: &str, text: &str) -> String {
        let path = self.server.directory().join(name);
        fs::write(&path, text).unwrap();
        path.into_os_string().into_string().unwrap()
    }

    /// The file of a certificate for a client to trust.
    fn trusted(&self, authority: &Authority) -> PathBuf {
        self.file("trusted.crt", &authority.pem()).into()
    }

    fn url(&self) -> String {
        format!("rediss://{HOST}:{}?{PATIENT}", self.server.address().port())
    }

    async fn ask<T: FromRedisValue>(&self, words: &[&str]) -> T {
        ask_on(&self.plain, words).await
    }

    async fn commands(&self) -> u64 {
        commands(&self.plain).await
    }
}

async fn plain_connection(server: &Server) -> MultiplexedConnection {
    let client = redis::Client::open(server.url()).unwrap();
    client.get_multiplexed_async_connection().await.unwrap()
}

async fn ask_on<T: FromRedisValue>(connection: &MultiplexedConnection, words: &[&str]) -> T {
    let mut cmd = redis::cmd(words[0]);
    cmd.arg(&words[1..]);
    cmd.query_async(&mut connection.clone()).await.unwrap()
}

/// How many commands the server has run, of anybody, before this one.
async fn commands(connection: &MultiplexedConnection) -> u64 {
    let report: String = ask_on(connection, &["INFO", "stats"]).await;
    let line = report.lines().find_map(|line| line.strip_prefix("total_commands_processed:"));
    line.unwrap().parse().unwrap()
}

/// Runs a client that trusts this file and nothing else; answers what it said.
async fn client(url: &str, trusted: &Path) -> String {
    let run = Command::new(std::env::current_exe().unwrap())
        .args([CLIENT, "--exact", "--nocapture"])
        .env(URL_VARIABLE, url)
        .env("SSL_CERT_FILE", trusted)
        .env_remove("SSL_CERT_DIR")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let ended = within(Duration::from_secs(60), run).await.expect("the client ends by itself").unwrap();
    // The test program itself writes to its output only.
    let said = String::from_utf8(ended.stderr).unwrap();
    assert!(ended.status.success(), "{said}");
    said
}

/// Not a test of its own: see `client`.
#[tokio::test(flavor = "multi_thread")]
async fn client_of_the_other_tests() {
    let Some(url) = url_for_client() else { return };
    match holdover_backends::connect(&url).await {
        Ok(store) => {
            use_all(&*store).await;
            eprint!("{WORKED}");
        }
        Err(error) => eprint!("{:?} {:?} {error}", error.kind(), error.effect()),
    }
}

#[allow(clippy::disallowed_methods, reason = "the process that starts this one says so what it wants")]
fn url_for_client() -> Option<String> {
    std::env::var(URL_VARIABLE).ok()
}

/// Saves two sessions, loads and deletes one, and leaves the other.
async fn use_all(store: &dyn SessionStore) {
    let created = SystemClock.now();
    for number in [1, 2] {
        let answer = store.save(&key(number), &write(On::Absent { created }, "a", number)).await;
        assert!(matches!(answer, Ok(SaveAnswer::Saved { previous: None })), "{answer:?}");
    }
    let record = store.load_latest(&key(1)).await.unwrap().unwrap().record;
    assert_eq!(record.attributes["a"], vec![1; 20]);
    store.delete(&key(1)).await.unwrap();
    assert!(store.load_latest(&key(1)).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_are_kept_over_tls_with_a_certificate_that_the_system_trusts() {
    let authority = authority("authority");
    let server = TlsServer::start(&authority, HOST, "no").await;
    assert_eq!(client(&server.url(), &server.trusted(&authority)).await, WORKED);
    assert_eq!(server.ask::<u64>(&["DBSIZE"]).await, 1, "the session that the client left is on this server");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_untrusted_authority_is_refused() {
    let server = TlsServer::start(&authority("authority"), HOST, "no").await;
    let before = server.commands().await;
    for name in ["another", "authority"] {
        let said = client(&server.url(), &server.trusted(&authority(name))).await;
        assert!(said.starts_with("Misconfigured None ") && said.contains("SSL_CERT_FILE"), "{said}");
    }
    assert_eq!(server.commands().await, before + 1, "only the question before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_for_another_host_is_refused() {
    let authority = authority("authority");
    let server = TlsServer::start(&authority, "elsewhere.test", "no").await;
    let before = server.commands().await;
    let said = client(&server.url(), &server.trusted(&authority)).await;
    assert!(said.starts_with("Misconfigured None ") && said.contains("for another host"), "{said}");
    assert_eq!(server.commands().await, before + 1, "only the question before");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_asks_clients_for_a_certificate_denies() {
    let authority = authority("authority");
    let server = TlsServer::start(&authority, HOST, "yes").await;
    let said = client(&server.url(), &server.trusted(&authority)).await;
    assert!(said.starts_with("Denied None ") && said.contains("tls-auth-clients no"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_the_system_that_cannot_be_read_are_a_wrong_configuration() {
    let server = TlsServer::start(&authority("authority"), HOST, "no").await;
    let missing = server.server.directory().join("missing.crt");
    let text = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let garbage = PathBuf::from(server.file("garbage.crt", text));
    for trusted in [missing, garbage] {
        let said = client(&server.url(), &trusted).await;
        assert!(said.starts_with("Misconfigured None ") && said.contains("cannot be read"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_tls_a_port_for_tls_fails_in_a_bounded_time() {
    let server = TlsServer::start(&authority("authority"), HOST, "no").await;
    let before = server.commands().await;
    let connecting = holdover_backends::connect(server.server.url());
    let connected = within(Duration::from_secs(10), connecting).await;
    let error = connected.expect("it ends in a bounded time").unwrap_err();
    assert_eq!((error.kind(), error.effect()), (ErrorKind::Unavailable, Effect::None), "{error}");
    assert!(error.message().contains("tls"), "{error}");
    assert_eq!(server.commands().await, before + 1, "only the question before");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_a_plain_port_fails_in_a_bounded_time_and_is_told_nothing() {
    let server = Server::start(&servers::redis()).await.unwrap();
    let connection = plain_connection(&server).await;
    let trusted = server.directory().join("trusted.crt");
    fs::write(&trusted, authority("authority").pem()).unwrap();
    let before = commands(&connection).await;
    let url = format!("rediss://{}", server.address());
    let said = client(&url, &trusted).await;
    // The server waits for the end of a line in vain, or finds one in the handshake by chance and answers.
    assert!(said.starts_with("Unavailable None ") || said.starts_with("Misconfigured None "), "{said}");
    assert_eq!(commands(&connection).await, before + 1, "only the question before");
}
