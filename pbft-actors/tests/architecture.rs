//! Holds the floors apart: a module imports only from below its own, siblings never import siblings,
//! and what is below the carriers is deterministic.

use std::fs;
use std::path::{Path, PathBuf};

/// From the ground up; modules of one line do not know each other.
const FLOORS: [&[&str]; 10] = [
    &["types"],
    &["crypto", "codec"],
    &["message"],
    &["ports"],
    &["role"],
    &["roles"],
    &["replica"],
    &["adversary"],
    &["actor", "sim", "model"],
    &["fuzz"],
];

/// The lowest floor that may be anything but deterministic.
const CARRIERS: usize = 8;

/// Parts of one floor that must not know each other, each with what they share.
const SIBLINGS: [(&str, &[&str]); 1] = [("roles", &["RateLimit", "rate_limit", "UsualWait", "recent"])];

/// What gives a different answer from one run to the next. Found as whole words.
const NONDETERMINISTIC: [&str; 19] = [
    "Instant",
    "SystemTime",
    "UNIX_EPOCH",
    "SystemRandom",
    "SecureRandom",
    "rand",
    "HashMap",
    "HashSet",
    "RandomState",
    "DefaultHasher",
    "thread",
    "spawn",
    "async",
    "await",
    "actix",
    "tokio",
    "TcpStream",
    "File",
    "println",
];

struct Source {
    path: PathBuf,
    /// Without comments, strings and what only tests see.
    code: String,
}

fn sources(root: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("the sources are there") {
            let path = entry.expect("the sources can be listed").path();
            if path.is_dir() {
                folders.push(path);
            } else if is_test(&path) {
                // Tests are programs: they may use what they like.
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let code = strip(&fs::read_to_string(&path).expect("sources are text"));
                found.push(Source {
                    path: path.strip_prefix(root).expect("found below the root").to_path_buf(),
                    code,
                });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

fn is_test(path: &Path) -> bool {
    let within = path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).is_ok_and(|path| {
        path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "scenarios")
    });
    within || path.ends_with("tests.rs") || path.ends_with("testing.rs") || path.ends_with("scenarios.rs")
}

/// Drops line comments, string literals and test modules.
fn strip(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        if line.trim_start().starts_with("mod tests {") {
            break;
        }
        let line = line.split("//").next().unwrap_or_default();
        for (index, part) in line.split('"').enumerate() {
            code.push_str(if index % 2 == 0 { part } else { "\"\"" });
        }
        code.push('\n');
    }
    code
}

fn module_of(path: &Path) -> String {
    let first =
        path.components().next().expect("a path below the root").as_os_str().to_string_lossy().into_owned();
    first.trim_end_matches(".rs").to_owned()
}

fn floor_of(module: &str) -> Option<usize> {
    FLOORS.iter().position(|floor| floor.contains(&module))
}

/// Every module that a file names by `crate::`, also inside braces: `crate::{a, b::c}`.
fn named_modules(code: &str) -> Vec<String> {
    let mut named = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        let rest = &code[at + "crate::".len()..];
        let names: Vec<&str> = match rest.strip_prefix('{') {
            Some(list) => list.split('}').next().unwrap_or_default().split(',').collect(),
            None => vec![rest],
        };
        for name in names {
            let end = name.trim_start().find(|c: char| !c.is_alphanumeric() && c != '_');
            let name = name.trim_start();
            named.push(name[..end.unwrap_or(name.len())].to_owned());
        }
    }
    named
}

fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// Everything that breaks a rule, as text.
fn violations(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for Source { path, code } in sources {
        let module = module_of(path);
        if ["lib", "bin"].contains(&module.as_str()) {
            continue;
        }
        let shown = path.display();
        let Some(floor) = floor_of(&module) else {
            found.push(format!("{shown}: `{module}` is on no floor"));
            continue;
        };
        for named in named_modules(code) {
            match floor_of(&named) {
                Some(other) if other > floor => found.push(format!("{shown} imports `{named}` from above")),
                Some(other) if other == floor && named != module => {
                    found.push(format!("{shown} imports its sibling `{named}`"));
                }
                _ => {}
            }
        }
        for (parent, shared) in SIBLINGS {
            let own = path.strip_prefix(parent).ok().and_then(|rest| rest.components().next());
            let Some(own) = own.map(|own| own.as_os_str().to_string_lossy().into_owned()) else { continue };
            for (at, prefix) in code.match_indices(&format!("crate::{parent}::")) {
                let rest = &code[at + prefix.len()..];
                let named = words(rest).next().unwrap_or_default();
                if !shared.contains(&named) && named != own.trim_end_matches(".rs") {
                    found.push(format!("{shown} imports `{parent}::{named}`"));
                }
            }
        }
        if floor < CARRIERS {
            for word in words(code).filter(|word| NONDETERMINISTIC.contains(word)) {
                found.push(format!("{shown} names `{word}`: this floor is deterministic"));
            }
        }
    }
    found
}

#[test]
fn every_module_imports_from_below_only_and_what_must_be_deterministic_is() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let found = violations(&sources(&root));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn each_kind_of_violation_is_found() {
    let source = |path: &str, code: &str| Source { path: path.into(), code: strip(code) };
    let broken = [
        source("types/seq.rs", "use crate::crypto::Digest;"),
        source("crypto/mac.rs", "use crate::codec::encode;"),
        source("roles/orderer/mod.rs", "use crate::roles::batcher::Batcher;"),
        source("roles/orderer/vote.rs", "use crate::{types::Seq, actor::Replica};"),
        source("roles/batcher/mod.rs", "use std::collections::HashMap;"),
        source("role/mod.rs", "let at = std::time::Instant::now();"),
        source("replica/driver.rs", "async fn run() {}"),
        source("misc/mod.rs", ""),
    ];
    for source in broken {
        let path = source.path.display().to_string();
        assert_eq!(violations(&[source]).len(), 1, "{path}");
    }
    let fine = [
        source("roles/orderer/mod.rs", "use crate::roles::RateLimit; // crate::actor in a comment"),
        source("actor/clock.rs", "use std::time::Instant; use crate::replica::Driver;"),
        source("roles/batcher/mod.rs", "let text = \"HashMap\";"),
    ];
    assert_eq!(violations(&fine), Vec::<String>::new());
}
