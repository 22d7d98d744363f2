//! Where servers are found.

use std::path::{Path, PathBuf};

use super::ServerError;
use super::recipe::Recipe;

/// Where packages put servers, for a `PATH` that lacks them (a plain user's has no `sbin`).
const USUAL_PLACES: [&str; 4] = ["/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

/// The URL of a server that runs already.
pub(super) fn running(name: &str) -> Option<String> {
    let variable = format!("HOLDOVER_TEST_{}_URL", name.to_ascii_uppercase());
    let url = environment(&variable)?;
    (!url.is_empty()).then_some(url)
}

/// The server's program on this machine.
pub(super) fn program(recipe: &Recipe) -> Result<PathBuf, ServerError> {
    let path = environment("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path);
    let usual = USUAL_PLACES.iter().map(PathBuf::from);
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/servers/bin");
    let places: Vec<PathBuf> = on_path.chain(usual).chain([unpacked]).collect();
    for name in recipe.programs {
        let found = places.iter().map(|place| place.join(name)).find(|path| path.is_file());
        if let Some(found) = found {
            return Ok(found);
        }
    }
    let variable = format!("HOLDOVER_TEST_{}_URL", recipe.name.to_ascii_uppercase());
    let programs = recipe.programs.join(" nor ");
    Err(ServerError::NotFound(format!(
        "no {} server: neither {programs} is on this machine; run scripts/servers, or start one \
         (docker compose up) and set {variable}",
        recipe.name
    )))
}

#[allow(clippy::disallowed_methods, reason = "the test bench finds its servers through the environment")]
fn environment(variable: &str) -> Option<String> {
    std::env::var(variable).ok()
}
