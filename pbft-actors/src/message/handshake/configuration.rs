use std::collections::BTreeMap;
use std::fmt;

/// Most differing keys that a report lists; the others are counted.
const DIFFERENCES_SHOWN_MAX: usize = 16;
/// Most characters of a key or value that a report shows: the peer chose them.
const TEXT_CHARS_MAX: usize = 80;

/// A key of the agreed configuration that differs between two nodes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// The key.
    pub key: String,
    /// This node's value, if it has the key.
    pub ours: Option<String>,
    /// The peer's value, if it has the key.
    pub theirs: Option<String>,
}

/// Every key that differs, in the order of the keys.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Differences(pub Vec<Difference>);

impl Differences {
    /// Compares two configurations by key; of a key named twice the last value counts.
    pub(super) fn between(ours: &[(String, String)], theirs: &[(String, String)]) -> Self {
        let (ours, theirs) = (by_key(ours), by_key(theirs));
        let mut keys: Vec<&str> = ours.keys().chain(theirs.keys()).copied().collect();
        keys.sort_unstable();
        keys.dedup();
        let differing = keys.into_iter().filter(|key| ours.get(key) != theirs.get(key));
        let value = |side: &BTreeMap<&str, &str>, key: &str| side.get(key).map(|text| (*text).to_owned());
        Self(
            differing
                .map(|key| Difference {
                    key: key.to_owned(),
                    ours: value(&ours, key),
                    theirs: value(&theirs, key),
                })
                .collect(),
        )
    }

    /// Whether the configurations are equal.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

fn by_key(entries: &[(String, String)]) -> BTreeMap<&str, &str> {
    entries.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect()
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &Option<String>| match text {
            Some(text) => shortened(text),
            None => "nothing".to_owned(),
        };
        write!(f, "{} is {} here and {} there", shortened(&self.key), shown(&self.ours), shown(&self.theirs))
    }
}

impl fmt::Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, difference) in self.0.iter().take(DIFFERENCES_SHOWN_MAX).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{difference}")?;
        }
        match self.0.len().checked_sub(DIFFERENCES_SHOWN_MAX) {
            None | Some(0) => Ok(()),
            Some(more) => write!(f, "; and {more} more"),
        }
    }
}

fn shortened(text: &str) -> String {
    let start: String = text.chars().take(TEXT_CHARS_MAX).collect();
    let more = if start.len() < text.len() { ".." } else { "" };
    format!("{:?}{more}", start)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(entries: &[(&str, &str)]) -> Vec<(String, String)> {
        entries.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn every_key_that_differs_is_named_with_both_values() {
        let ours = entries(&[("window", "512"), ("service", "counter"), ("old", "1")]);
        let theirs = entries(&[("window", "256"), ("service", "counter"), ("new", "2")]);
        assert_eq!(
            Differences::between(&ours, &theirs).to_string(),
            "\"new\" is nothing here and \"2\" there; \"old\" is \"1\" here and nothing there; \
             \"window\" is \"512\" here and \"256\" there"
        );
        assert!(Differences::between(&ours, &ours).is_empty());
    }

    #[test]
    fn a_report_is_short_whatever_the_peer_sent() {
        let long = "x\n".repeat(4_000);
        let theirs: Vec<_> = (0..100).map(|key| (format!("{key}{long}"), long.clone())).collect();
        let report = Differences::between(&[], &theirs).to_string();
        assert!(report.len() < 8_192, "{}", report.len());
        assert!(report.ends_with("; and 84 more"));
        assert!(!report.contains('\n'));
    }
}
