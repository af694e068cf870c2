//! From a state that is to be saved to what is said once it is.

use std::sync::Arc;

use crate::ports::state::{PageFile, PageFileError, Target};
use crate::role::{Mail, Save};

/// Writes a state into a page file; once this returns it is durable.
///
/// # Errors
/// The page file's.
pub(crate) fn save(file: &mut PageFile, save: &Save) -> Result<Mail, PageFileError> {
    let saved = match save {
        Save::Checkpoint { seq, snapshot } => file.save(*seq, snapshot)?,
        Save::Transfer { target, snapshot } => {
            file.save_transfer(Target { seq: target.seq, digest: target.digest }, snapshot)?
        }
    };
    Ok(save.done(Some(Arc::new(saved))))
}
