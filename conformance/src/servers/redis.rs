//! Redis, or Valkey where that is what the machine has.

use super::recipe::{Launch, Recipe};

/// A Redis that keeps everything in memory: what it held is lost when it is killed.
pub fn redis() -> Recipe {
    Recipe {
        name: "redis",
        programs: &["redis-server", "valkey-server"],
        default_port: 6379,
        arguments,
        url,
        question,
        ready,
        more_arguments: Vec::new(),
        password: None,
    }
}

/// A Redis that writes each change to disk before it acknowledges it: it loses nothing when it is killed.
pub fn redis_durable() -> Recipe {
    redis().with_argument("--appendonly yes").with_argument("--appendfsync always")
}

fn arguments(launch: &Launch) -> Vec<String> {
    let port = launch.port.to_string();
    let directory = launch.directory.display().to_string();
    let mut arguments: Vec<String> = [
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--dir",
        &directory,
        "--daemonize",
        "no",
        // A snapshot at a moment of the server's own choosing would make what survives a matter of luck.
        "--save",
        "",
    ]
    .map(str::to_owned)
    .into();
    if let Some(password) = &launch.password {
        arguments.extend(["--requirepass".to_owned(), password.clone()]);
    }
    arguments
}

fn url(launch: &Launch) -> String {
    match &launch.password {
        Some(password) => format!("redis://:{password}@127.0.0.1:{}", launch.port),
        None => format!("redis://127.0.0.1:{}", launch.port),
    }
}

fn question(launch: &Launch) -> Vec<u8> {
    let login = match &launch.password {
        Some(password) => format!("AUTH {password}\r\n"),
        None => String::new(),
    };
    format!("{login}PING\r\nINFO server\r\n").into()
}

fn ready(_: &Launch, process: u32) -> Vec<Vec<u8>> {
    // While it reads its file back it answers PING with -LOADING.
    vec![b"+PONG\r\n".to_vec(), format!("\r\nprocess_id:{process}\r\n").into()]
}
