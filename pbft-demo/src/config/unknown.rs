//! Keys that mean nothing: a typing error must not silently leave a default in force.

use super::Problem;
use super::file::{ClientSection, ClusterFile, ReplicaSection};

/// Least likeness, 0 to 1, at which a key is suggested.
const LIKENESS_MIN: f64 = 0.7;

/// Reads the file; keys that mean nothing become problems, all of them.
///
/// # Errors
/// What is no TOML, or a value of another type than its key has.
pub(super) fn parse(text: &str, problems: &mut Vec<Problem>) -> Result<ClusterFile, Problem> {
    let not_toml = |error: toml::de::Error| Problem::new("TOML", error.to_string().trim_end().to_owned());
    let deserializer = toml::Deserializer::parse(text).map_err(not_toml)?;
    let known = known_keys();
    serde_ignored::deserialize(deserializer, |path| problems.push(unknown(&path.to_string(), &known)))
        .map_err(not_toml)
}

fn unknown(path: &str, known: &toml::Table) -> Problem {
    let (section, key) = path.rsplit_once('.').unwrap_or(("", path));
    let siblings = section_keys(section, known);
    let likeness = |candidate: &&String| strsim::jaro_winkler(candidate, key);
    let nearest = siblings.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let cure = match nearest.filter(|nearest| likeness(nearest) >= LIKENESS_MIN) {
        Some(nearest) => format!("did you mean `{nearest}`?"),
        None => format!("known here: {}", siblings.join(", ")),
    };
    Problem::new(path, format!("unknown key; {cure}"))
}

/// The keys of a section; `replicas.0` is an entry of a list.
fn section_keys(section: &str, known: &toml::Table) -> Vec<String> {
    let mut table = known;
    for part in section.split('.').filter(|part| !part.is_empty() && part.parse::<usize>().is_err()) {
        table = match table.get(part) {
            Some(toml::Value::Table(inner)) => inner,
            Some(toml::Value::Array(list)) => match list.first() {
                Some(toml::Value::Table(inner)) => inner,
                _ => return Vec::new(),
            },
            _ => return Vec::new(),
        };
    }
    table.keys().cloned().collect()
}

/// A file in which every key stands.
fn known_keys() -> toml::Table {
    let (replicas, clients) = (vec![ReplicaSection::default()], vec![ClientSection::default()]);
    let file = ClusterFile { replicas, clients, ..ClusterFile::default() };
    toml::Table::try_from(file).expect("the sections have only types that TOML has")
}
