//! What keeps the house in order: things that are said in several places have to agree.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Folders that no check looks into.
const FOREIGN: [&str; 3] = ["target", ".git", "node_modules"];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder whose names end so.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() && !FOREIGN.contains(&name.as_str()) {
            found.extend(files(&path, ending));
        } else if name.ends_with(ending) {
            found.push(path);
        }
    }
    found
}

/// The features that a manifest declares, from the lines of its `[features]` table.
fn features(manifest: &str) -> BTreeSet<String> {
    let table = manifest.split("[features]").nth(1).expect("a [features] table");
    let table = table.split("\n[").next().unwrap_or(table);
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(" = ")).map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn folder_feature_scheme_test_and_recipe_agree_for_every_backend() {
    let folders: Vec<String> = fs::read_dir(root().join("backends/src"))
        .unwrap()
        .map(|file| file.unwrap().path())
        .filter(|path| path.is_dir() && path.join("store.rs").exists())
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect();
    assert!(folders.contains(&"redis".to_owned()), "{folders:?}");
    let backend_features = features(&read("backends/Cargo.toml"));
    let facade_features = features(&read("Cargo.toml"));
    let url = read("backends/src/url.rs");
    let readme = read("README.md");
    let full = read("Cargo.toml").lines().find(|line| line.starts_with("full = ")).unwrap().to_owned();
    for name in &folders {
        assert!(backend_features.contains(name), "backends/Cargo.toml has no feature {name}");
        assert!(facade_features.contains(name), "the facade has no feature {name}");
        assert!(full.contains(&format!("{name:?}")), "`full` lacks {name}");
        assert!(url.contains(&format!("{name:?}")), "url.rs knows no scheme {name}");
        assert!(readme.contains(&format!("`{name}://`")), "the README's table has no row for {name}");
        let paths = [
            format!("backends/src/{name}/README.md"),
            format!("backends/tests/{name}.rs"),
            format!("conformance/src/servers/{name}.rs"),
        ];
        for path in paths {
            assert!(root().join(&path).exists(), "{path} is missing");
        }
    }
    for feature in backend_features.iter().filter(|feature| *feature != "default") {
        // A feature may add to a store: then it begins with the store's name.
        let folder = feature.split('-').next().unwrap_or(feature).to_owned();
        assert!(folders.contains(&folder), "the feature {feature} has no folder");
    }
}

#[test]
fn files_stay_small() {
    for path in files(&root(), ".rs") {
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 400, "{} has {lines} lines: cut it, or argue", path.display());
    }
}

#[test]
fn a_codec_is_named_in_two_files_only() {
    for path in files(&root(), ".rs") {
        let is_codec =
            path.ends_with("session-api/src/codec.rs") || path.ends_with("session-api/src/frame.rs");
        let text = fs::read_to_string(&path).unwrap();
        let needle = concat!("bin", "code::");
        assert!(is_codec || !text.contains(needle), "{} names a codec", path.display());
    }
}

#[test]
fn every_relative_link_in_the_documents_leads_somewhere() {
    for path in files(&root(), ".md") {
        let text = fs::read_to_string(&path).unwrap();
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            if target.is_empty() || target.contains("://") || target.starts_with("mailto:") {
                continue;
            }
            let resolved = path.parent().unwrap().join(target);
            assert!(resolved.exists(), "{} links to {target}, which is not there", path.display());
        }
    }
}

#[test]
fn the_readme_names_the_commands_that_exist() {
    let readme = read("README.md");
    for command in ["cargo run --example quickstart", "scripts/test", "cargo run -p holdover-conformance"] {
        assert!(readme.contains(command), "the README lost {command}");
    }
    for script in ["scripts/test", "scripts/servers", ".ci/run"] {
        assert!(root().join(script).exists(), "{script} is missing");
    }
}
