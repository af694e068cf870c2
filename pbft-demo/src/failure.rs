use std::fmt;

/// Why a command did not do its work, and what would mend it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What went wrong.
    pub cause: String,
    /// What to do about it.
    pub cure: String,
}

impl Failure {
    /// A failure with its cause and cure.
    pub fn new(cause: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { cause: cause.into(), cure: cure.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n  cure: {}", self.cause, self.cure)
    }
}

impl std::error::Error for Failure {}
