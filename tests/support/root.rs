//! A root directory with nothing in it but a static program and its configuration, as the container image has it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::daemon::clean;
use super::{Daemon, eventually, loudly, scope, secs};

/// Whom the image runs it as.
const NOBODY: u32 = 65532;

/// The static program: the one that `CHAOS_PROXY_STATIC` names, else one that is built here, once.
pub(crate) fn static_program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| match std::env::var_os("CHAOS_PROXY_STATIC") {
        Some(named) => fs::canonicalize(named).expect("CHAOS_PROXY_STATIC names a program"),
        None => build(),
    })
}

/// Builds it for what releases are built for, musl, where the toolchain can; else with this system's own C library. It is
/// the same source and the same promise; the release holds its own binaries to it. In a directory of its own, and
/// not optimised: a clean build takes half a minute.
fn build() -> PathBuf {
    let rustc = Command::new("rustc").arg("-vV").output().expect("rustc");
    let facts = String::from_utf8(rustc.stdout).expect("text");
    let host = facts.lines().find_map(|line| line.strip_prefix("host: ")).expect("a host");
    let sysroot = Command::new("rustc").args(["--print", "sysroot"]).output().expect("rustc");
    let installed = Path::new(String::from_utf8_lossy(&sysroot.stdout).trim()).join("lib/rustlib");
    let musl = host.replace("-gnu", "-musl");
    let target = if installed.join(&musl).exists() { &musl } else { host };
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("static");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(env!("CARGO_MANIFEST_DIR"));
    cargo.args(["build", "--quiet", "--locked", "--bin", "chaos-proxy", "--target", target]);
    for less in ["opt-level=0", "debug=0", "package.\"*\".opt-level=0"] {
        cargo.args(["--config", &format!("profile.dev.{less}")]);
    }
    cargo.env("CARGO_TARGET_DIR", &directory).env("RUSTFLAGS", "-C target-feature=+crt-static");
    // What the running cargo says of the other build would make this one another each time.
    cargo.env_remove("CARGO_ENCODED_RUSTFLAGS").env_remove("CARGO_BUILD_TARGET");
    assert!(cargo.status().expect("cargo").success(), "the static program is built");
    directory.join(target).join("debug/chaos-proxy")
}

/// The root directory.
pub(crate) struct Root {
    directory: TempDir,
    read_only: bool,
    around: Vec<String>,
}

impl Root {
    /// One with the program and this configuration; none, said loudly, where a root may not be entered.
    pub(crate) fn new(configuration: &str) -> Option<Self> {
        let root = Root {
            directory: tempfile::tempdir().expect("a directory"),
            read_only: false,
            around: Vec::new(),
        };
        // It belongs to the one who will run there, who could write to it.
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("to open it");
        fs::copy(static_program(), root.path().join("chaos-proxy")).expect("a copy");
        root.file("routes.yaml", configuration);
        if geteuid().is_root() {
            chown(root.path(), Some(NOBODY), Some(NOBODY)).expect("to give it away");
        }
        let tried = root.command(&["--version"]).output();
        match tried {
            Ok(output) if output.status.success() => Some(root),
            Ok(output) => skipped(&String::from_utf8_lossy(&output.stderr)),
            Err(why) => skipped(&why.to_string()),
        }
    }

    /// Nothing in it can be written, by whomever.
    pub(crate) fn read_only(mut self) -> Self {
        self.read_only = true;
        self
    }

    /// Entered through this command, such as that of a namespace.
    pub(crate) fn within(mut self, words: Vec<String>) -> Self {
        self.around = words;
        self
    }

    /// One more file.
    pub(crate) fn file(&self, name: &str, text: &str) {
        let path = self.path().join(name);
        fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
        fs::write(path, text).expect("a file");
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Every file in it with its size.
    pub(crate) fn files(&self) -> BTreeMap<PathBuf, u64> {
        let mut found = BTreeMap::new();
        let mut directories = vec![self.path().to_owned()];
        while let Some(directory) = directories.pop() {
            for entry in fs::read_dir(directory).expect("a directory") {
                let path = entry.expect("an entry").path();
                let facts = fs::symlink_metadata(&path).expect("facts");
                found.insert(path.clone(), facts.len());
                directories.extend(facts.is_dir().then_some(path));
            }
        }
        found
    }

    /// The program inside, with these arguments: the first process of its own kind, and root only where nobody else can
    /// be had.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut words: Vec<String> = self.around.clone();
        words.extend(["unshare", "--mount", "--pid", "--fork", "--kill-child"].map(str::to_owned));
        if !geteuid().is_root() {
            words.extend(["--user", "--map-root-user"].map(str::to_owned));
        }
        let user = if geteuid().is_root() { format!("--userspec={NOBODY}:{NOBODY}") } else { String::new() };
        let lock = if self.read_only {
            "mount --bind \"$0\" \"$0\" && mount -o remount,ro,bind \"$0\" && "
        } else {
            ""
        };
        let enter = format!("{lock}exec chroot {user} \"$0\" /chaos-proxy \"$@\"");
        words.extend(["sh".to_owned(), "-c".to_owned(), enter, self.path().display().to_string()]);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(arguments);
        clean(&mut command);
        command
    }

    /// Starts the daemon inside, as process 1, and waits until so many routes are open.
    pub(crate) fn start(&self, routes: usize) -> First {
        let daemon = Daemon::of(self.command(&["--config", "/routes.yaml"]));
        daemon.wait_ready(routes);
        First::of(daemon)
    }

    /// What `healthcheck` inside says: its exit code.
    pub(crate) fn healthcheck(&self, daemon: &First) -> Option<i32> {
        let url = format!("http://{}", daemon.daemon.api().0);
        self.command(&["healthcheck", "--url", &url]).output().expect("it runs").status.code()
    }
}

/// A daemon that is process 1 of its own kind, seen from outside.
pub(crate) struct First {
    /// What it says, and where it listens. This process is the one around it.
    pub(crate) daemon: Daemon,
    /// Its number out here.
    pub(crate) pid: Pid,
    ended: bool,
}

impl First {
    /// One that has been started, and has said something.
    pub(crate) fn of(daemon: Daemon) -> Self {
        let pid = first_process(daemon.pid());
        scope::remember(scope::current(), pid);
        First { daemon, pid, ended: false }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).expect("it runs");
    }

    /// Waits until it ends by itself.
    pub(crate) fn wait_exit(&mut self, limit: Duration) -> ExitStatus {
        let status = self.daemon.wait_exit(limit);
        self.ended = true;
        scope::forget(self.pid);
        status
    }
}

impl Drop for First {
    fn drop(&mut self) {
        // Changing who it is, it has forgotten to end with the one around it.
        if !self.ended {
            let _ = kill_process(self.pid, Signal::KILL);
            scope::forget(self.pid);
        }
    }
}

/// The only child of a process.
fn first_process(parent: Pid) -> Pid {
    let parent = parent.as_raw_nonzero().to_string();
    let mut found = None;
    eventually(secs(5), "it has a child", || {
        let processes = fs::read_dir("/proc").expect("processes");
        let mut numbers = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
        found = numbers.find(|number| {
            let stat = fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
            stat.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1) == Some(&parent)
        });
        found.is_some()
    });
    Pid::from_raw(found.expect("found")).expect("a number")
}

fn skipped<T>(why: &str) -> Option<T> {
    loudly(&format!("SKIPPED: this machine lets nobody enter another root: {}", why.trim()));
    None
}
