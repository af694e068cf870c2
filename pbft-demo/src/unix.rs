//! Everything that only Unix has: file modes and signals.

use std::fs::{File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use tokio::signal::unix::{SignalKind, signal};

/// Mode of a file that only its owner may read and write.
const OWNER_ONLY_FILE: u32 = 0o600;
/// Mode of a directory that only its owner may enter.
const OWNER_ONLY_DIRECTORY: u32 = 0o700;
/// The bits of everybody else.
const OTHERS: u32 = 0o077;

/// Creates a file that only its owner can read; refuses one that exists.
pub(crate) fn create_secret(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY_FILE).open(path)?;
    // The umask only takes bits away; this gives the owner's back.
    file.set_permissions(Permissions::from_mode(OWNER_ONLY_FILE))?;
    Ok(file)
}

/// Creates a directory, with those above it, that only its owner can enter.
pub(crate) fn create_secret_directory(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(OWNER_ONLY_DIRECTORY).create(path)
}

/// Whether anybody but the owner has any right to an open file.
pub(crate) fn others_may_use(file: &File) -> io::Result<bool> {
    Ok(file.metadata()?.permissions().mode() & OTHERS != 0)
}

/// Waits until somebody asks this process to stop, by SIGTERM or Ctrl-C; says which.
///
/// # Errors
/// No handler could be installed.
pub(crate) fn stop_signal() -> io::Result<impl Future<Output = &'static str>> {
    // Installed now, so that a signal that comes before anybody waits is not lost.
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => "SIGTERM",
            _ = interrupt.recv() => "Ctrl-C",
        }
    })
}
