//! Memcached, which keeps everything in memory: what it held is lost when it ends.

use super::recipe::{Launch, Recipe};

/// A Memcached with 64 MB.
pub fn memcached() -> Recipe {
    Recipe {
        name: "memcached",
        programs: &["memcached"],
        default_port: 11211,
        arguments,
        url,
        question,
        ready,
        more_arguments: Vec::new(),
        password: None,
    }
}

fn arguments(launch: &Launch) -> Vec<String> {
    let port = launch.port.to_string();
    // -u is only looked at when root starts it, which it would refuse without; it stays root then, as the tests are.
    let arguments = ["-l", "127.0.0.1", "-p", &port, "-U", "0", "-u", "root"];
    arguments.map(str::to_owned).into()
}

fn url(launch: &Launch) -> String {
    format!("memcached://127.0.0.1:{}", launch.port)
}

fn question(_: &Launch) -> Vec<u8> {
    b"mn\r\nstats\r\n".to_vec()
}

fn ready(_: &Launch, process: u32) -> Vec<Vec<u8>> {
    vec![b"MN\r\n".to_vec(), format!("STAT pid {process}\r\n").into()]
}
