//! From a path to bytes: at most as many as a document may have, and from nothing that could keep one waiting.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use super::tree::MAX_TEXT;
use crate::spec::Diagnostic;

/// The bytes of a regular file, or, for `-`, of standard input; at most one more than a document may have.
pub(crate) fn read(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    if path != Path::new("-") {
        return read_regular(path);
    }
    let mut bytes = Vec::new();
    match std::io::stdin().take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Diagnostic::new(format!("standard input cannot be read: {error}"))),
    }
}

/// The same of a regular file only.
pub(super) fn read_regular(path: &Path) -> Result<Vec<u8>, Diagnostic> {
    let mut bytes = Vec::new();
    match open(path)?.take(MAX_TEXT as u64 + 1).read_to_end(&mut bytes) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(Diagnostic::new(format!("the file cannot be read: {error}"))),
    }
}

fn open(path: &Path) -> Result<File, Diagnostic> {
    // Without NONBLOCK, opening a FIFO would wait for somebody to write to it.
    let flags = rustix::fs::OFlags::NONBLOCK | rustix::fs::OFlags::NOCTTY;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| refusal(path, &error))?;
    let kind = file.metadata().map_err(|error| refusal(path, &error))?.file_type();
    let what = match kind {
        kind if kind.is_file() => return Ok(file),
        kind if kind.is_dir() => "a directory",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "a device",
    };
    Err(Diagnostic::new(format!("this is {what}, not a file"))
        .help("a regular file is read, or standard input when it is called -"))
}

fn refusal(path: &Path, error: &std::io::Error) -> Diagnostic {
    match error.kind() {
        ErrorKind::NotFound if path.is_symlink() => {
            Diagnostic::new("there is no such file").help("the link is there, what it points to is not")
        }
        ErrorKind::NotFound => Diagnostic::new("there is no such file"),
        ErrorKind::PermissionDenied => Diagnostic::new("the file may not be read: permission denied"),
        _ => Diagnostic::new(format!("the file cannot be opened: {error}")),
    }
}
