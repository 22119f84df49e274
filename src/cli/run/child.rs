//! The command as a process: how it starts, why it does not, and how it ended.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;

use rustix::io::Errno;
use rustix::process::{Pid, Resource, Rlimit, getrlimit, setrlimit};
use tokio::process::{Child, Command};

use super::variables::Variables;
use crate::scenario::report::CommandEnd;
use crate::spec::text;

/// What shells say when there is no such command, and when there is one that cannot be executed.
const NOT_FOUND: u8 = 127;
const NOT_EXECUTABLE: u8 = 126;

/// Starts the command with its own terminal, in our process group, and with as many descriptors as we were given.
pub(super) fn start(
    words: &[OsString],
    variables: &Variables,
    descriptors: Rlimit,
) -> Result<(Child, Pid), CommandEnd> {
    let [program, arguments @ ..] = words else {
        return Err(not_started(words, NOT_FOUND, "nothing: there is no command".to_owned()));
    };
    let mut command = Command::new(program);
    command.args(arguments);
    variables.give_to(&mut command);
    match spawn(&mut command, descriptors) {
        Ok(started) => Ok(started),
        Err(error) => {
            let (code, why) = why_not(Path::new(program), &error);
            let name = program.to_string_lossy();
            Err(not_started(words, code, format!("`{}`: {why}", text::shown(&name))))
        }
    }
}

/// A program that finds a large limit may try to close each of these descriptors, or trip over `select`.
fn spawn(command: &mut Command, descriptors: Rlimit) -> io::Result<(Child, Pid)> {
    let raised = getrlimit(Resource::Nofile);
    // Lowering a soft limit is never refused, and nor is taking it back.
    let _ = setrlimit(Resource::Nofile, descriptors);
    let spawned = command.spawn();
    let _ = setrlimit(Resource::Nofile, raised);
    let child = match spawned {
        // We have more open ourselves than it may have.
        Err(error) if Errno::from_io_error(&error) == Some(Errno::MFILE) => command.spawn(),
        spawned => spawned,
    }?;
    let pid = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    pid.map(|pid| (child, pid)).ok_or_else(|| io::Error::other("it has no process number"))
}

/// Why it does not start, as a shell's exit code and in words.
fn why_not(program: &Path, error: &io::Error) -> (u8, String) {
    let by_path = program.components().count() > 1 || program.as_os_str().as_encoded_bytes().contains(&b'/');
    let errno = Errno::from_io_error(error);
    match error.kind() {
        ErrorKind::NotFound if by_path && program.exists() => {
            (NOT_EXECUTABLE, "the interpreter or loader that it asks for is not there".to_owned())
        }
        ErrorKind::NotFound if by_path => (NOT_FOUND, "no such file".to_owned()),
        ErrorKind::NotFound => (NOT_FOUND, "no such command in PATH".to_owned()),
        ErrorKind::PermissionDenied if by_path && program.is_dir() => {
            (NOT_EXECUTABLE, "it is a directory".to_owned())
        }
        ErrorKind::PermissionDenied => {
            (NOT_EXECUTABLE, "it may not be executed; if it is a program: chmod +x".to_owned())
        }
        _ if errno == Some(Errno::NOEXEC) => {
            (NOT_EXECUTABLE, "it is neither a program nor a script that begins with #!".to_owned())
        }
        _ => (NOT_EXECUTABLE, error.to_string()),
    }
}

fn not_started(words: &[OsString], code: u8, why: String) -> CommandEnd {
    CommandEnd { words: shown(words), code, why: Some(why) }
}

/// What became of a command that ended.
pub(super) fn end(words: &[OsString], status: ExitStatus) -> CommandEnd {
    let (code, why) = match (status.code(), status.signal()) {
        (Some(code), _) => (code, None),
        (None, Some(signal)) => (128_i32.saturating_add(signal), Some(format!("ended by {}", named(signal)))),
        (None, None) => (1, None),
    };
    CommandEnd { words: shown(words), code: u8::try_from(code).unwrap_or(u8::MAX), why }
}

/// The signals that end programs, where all systems agree on the number.
fn named(signal: i32) -> String {
    let name = match signal {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        8 => "SIGFPE",
        9 => "SIGKILL",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        14 => "SIGALRM",
        15 => "SIGTERM",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}

/// The words as text.
pub(super) fn shown(words: &[OsString]) -> Vec<String> {
    words.iter().map(|word| word.to_string_lossy().into_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_what_a_shell_would_say() {
        let words = [OsString::from("it"), OsString::from("-x")];
        let of = |raw| {
            let end = end(&words, ExitStatus::from_raw(raw));
            assert_eq!(end.words, ["it", "-x"]);
            (end.code, end.why)
        };
        assert_eq!(of(0), (0, None));
        assert_eq!(of(42 << 8), (42, None));
        assert_eq!(of(255 << 8), (255, None));
        assert_eq!(of(9), (137, Some("ended by SIGKILL".to_owned())));
        // With a core written.
        assert_eq!(of(11 | 0x80), (139, Some("ended by SIGSEGV".to_owned())));
        assert_eq!(of(40), (168, Some("ended by signal 40".to_owned())));
    }
}
