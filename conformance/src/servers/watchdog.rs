//! A small shell that outlives this process by a moment, so that no server does.
//!
//! `Drop` is not enough: statics are never dropped, and a process may be killed. The kernel's own way
//! (`PR_SET_PDEATHSIG`) follows the death of the *thread* that started the child and cannot remove a directory.

use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

/// It reads a line. If its input ends without one, this process is gone: it kills the server and removes its directory.
const SCRIPT: &str = r#"if ! read -r line; then kill -9 "$1" 2>/dev/null; rm -rf -- "$2"; fi"#;

/// Watches over one server process.
pub(super) struct Watchdog {
    shell: Child,
    input: Option<ChildStdin>,
}

impl Watchdog {
    pub(super) fn over(process: u32, directory: &Path) -> io::Result<Self> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "watchdog", &process.to_string()])
            .arg(directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // A terminal's ctrl-c goes to the whole group of the test process: it must not reach the watchdog.
            .process_group(0)
            .spawn()?;
        let input = shell.stdin.take();
        Ok(Self { shell, input })
    }
}

impl Drop for Watchdog {
    /// Calls it off. Only once the server has been reaped: until then its process id cannot be anybody else's.
    fn drop(&mut self) {
        if let Some(mut input) = self.input.take() {
            let _ = input.write_all(b"done\n");
        }
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    fn sleeper() -> Child {
        Command::new("sleep").arg("1000").spawn().unwrap()
    }

    #[test]
    fn a_server_and_its_directory_do_not_outlive_the_process_that_started_them() {
        let mut server = sleeper();
        let directory = tempfile::tempdir().unwrap().keep();
        let mut watchdog = Watchdog::over(server.id(), &directory).unwrap();
        // What the kernel does when the process ends, however it ends.
        drop(watchdog.input.take());
        assert_eq!(server.wait().unwrap().signal(), Some(9));
        drop(watchdog);
        assert!(!directory.exists());
    }

    #[test]
    fn a_watchdog_that_is_called_off_leaves_everything_alone() {
        let mut server = sleeper();
        let directory = tempfile::tempdir().unwrap();
        drop(Watchdog::over(server.id(), directory.path()).unwrap());
        assert!(server.try_wait().unwrap().is_none());
        assert!(directory.path().exists());
        server.kill().unwrap();
        server.wait().unwrap();
    }
}
