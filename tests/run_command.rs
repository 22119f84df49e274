//! `chaos-proxy run -- CMD`: a command is run as a shell would run it, with routes around it.

#![allow(clippy::disallowed_types, clippy::disallowed_methods, reason = "over real sockets time is real")]
#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test that cannot go on should say so loudly")]
#![cfg(target_os = "linux")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use support::*;
use tempfile::TempDir;

const ECHO: &str = "admin: off\nroutes: [{name: db, localPort: auto, upstream: \"builtin:echo\"}]";

/// Says that its signal came, and how often an interrupt did before. A shell that waits hears of signals at once. What it
/// waits for is killed outright: just forked, it would still have the shell's traps.
const HEARS: &str = "n=0; trap 'n=$((n+1)); echo got $n' INT
for s in TERM QUIT HUP USR1 USR2; do trap \"echo heard $s; kill -KILL \\$!; exit 7\" $s; done
trap 'echo after $n; kill -KILL $!; exit 5' USR1
sleep 60 & echo ready; while :; do wait; done";

/// Waits for a line, so that the test says when it ends.
const WAITS: &str = "echo ready; read line; exit 7";

/// A configuration, and how the program is run with it.
struct Around {
    directory: TempDir,
    wrapper: Vec<String>,
    flags: Vec<String>,
    variables: Vec<(String, String)>,
}

impl Around {
    fn config(text: &str) -> Around {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("routes.yaml"), text).unwrap();
        Around { directory, wrapper: Vec::new(), flags: Vec::new(), variables: Vec::new() }
    }

    fn flags(mut self, flags: &[&str]) -> Around {
        self.flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        self
    }

    fn wrapper(mut self, words: &[&str]) -> Around {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    fn variable(mut self, name: &str, value: &str) -> Around {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// `chaos-proxy run --config … -- words`, in the directory.
    fn command(&self, words: &[&str]) -> Command {
        let program = bare().get_program().to_owned();
        let mut line: Vec<&std::ffi::OsStr> = self.wrapper.iter().map(AsRef::as_ref).collect();
        line.push(&program);
        let mut command = Command::new(line[0]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("CHAOS_PROXY_") {
                command.env_remove(name);
            }
        }
        command
            .args(&line[1..])
            .args(["run", "--config", "routes.yaml"])
            .args(&self.flags)
            .arg("--")
            .args(words);
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command.current_dir(self.path()).stdin(Stdio::null());
        command
    }

    /// Runs it to its end.
    fn output(&self, words: &[&str]) -> Output {
        self.command(words).output().unwrap()
    }

    /// The exit code and what was said on stderr.
    fn code(&self, words: &[&str]) -> (Option<i32>, String) {
        let output = self.output(words);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// Starts a script of the shell, and waits until it says that it is ready.
    fn start(&self, script: &str) -> Running {
        let mut running = Running::of(self.command(&["sh", "-c", script]));
        while running.line() != "ready" {}
        running
    }
}

/// A run that is under way.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Running {
    fn of(mut command: Command) -> Running {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        Running { child, stdin, stdout }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        assert_ne!(self.stdout.read_line(&mut line).unwrap(), 0, "it said all it had to say");
        line.trim_end().to_owned()
    }

    /// All that `env` says up to an empty line.
    fn variables(&mut self) -> BTreeMap<String, String> {
        let mut variables = BTreeMap::new();
        loop {
            let line = self.line();
            if line == "ready" {
                return variables;
            }
            if let Some((name, value)) = line.split_once('=') {
                variables.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Lets it read to its end, and says what else it printed and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        drop(self.stdin.take());
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether these words run here; says so if they do not.
fn runs(words: &[&str]) -> bool {
    let ran = Command::new(words[0]).args(&words[1..]).stdin(Stdio::null()).output();
    let well = ran.is_ok_and(|output| output.status.success());
    if !well {
        loudly(&format!("SKIPPED: this machine does not run `{}`", words.join(" ")));
    }
    well
}

/// Without a terminal, and with no signal ignored, whoever runs the tests.
const PLAIN: [&str; 3] = ["setsid", "env", "--default-signal=HUP,INT,QUIT"];

fn plain() -> bool {
    runs(&[&PLAIN[..], &["true"]].concat())
}

/// The exit code is the command's own, or what a shell says of it.
#[test]
fn the_exit_code_is_that_of_the_command() {
    within(secs(60), || {
        let around = Around::config(ECHO);
        for (script, code) in [
            ("exit 0", 0),
            ("exit 1", 1),
            ("exit 42", 42),
            ("exit 255", 255),
            ("kill -KILL $$", 137),
            ("kill -TERM $$", 143),
            ("kill -USR2 $$", 128 + 12),
        ] {
            assert_eq!(around.output(&["sh", "-c", script]).status.code(), Some(code), "{script}");
        }
    });
}

/// A command that cannot start says why, with the exit codes that shells use.
#[test]
fn a_command_that_cannot_start_says_why() {
    within(secs(60), || {
        let around = Around::config(ECHO);
        let script = |name: &str, text: &str, mode: u32| {
            let path = around.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
        };
        script("plain", "hello", 0o644);
        script("headless", "exit 0\n", 0o755);
        script("elsewhere", "#!/no/such/interpreter\n", 0o755);
        for (word, code, why) in [
            ("no-such-command-here", 127, "no such command in PATH"),
            ("./nowhere", 127, "no such file"),
            ("", 127, "no such command in PATH"),
            ("./plain", 126, "chmod +x"),
            ("./headless", 126, "begins with #!"),
            ("./elsewhere", 126, "interpreter"),
            ("./", 126, "a directory"),
        ] {
            let (seen, said) = around.code(&[word, "--flag"]);
            assert_eq!(seen, Some(code), "{word}: {said}");
            let line = format!("chaos-proxy: cannot start `{word}`: ");
            assert!(said.contains(&line) && said.contains(why), "{word}: {said}");
        }
    });
}

/// Its input comes in and its output goes out untouched; whatever we say is on stderr.
#[test]
fn what_it_reads_and_writes_passes_untouched() {
    within(secs(60), || {
        let around = Around::config(ECHO);
        let mut running = Running::of(around.command(&["cat"]));
        let bytes = Pattern(7).bytes(1 << 20);
        let mut stdin = running.stdin.take().unwrap();
        let sent = bytes.clone();
        let writer = std::thread::spawn(move || stdin.write_all(&sent).unwrap());
        let mut came = Vec::new();
        running.stdout.read_to_end(&mut came).unwrap();
        writer.join().unwrap();
        assert!(came == bytes, "{} bytes came of {}", came.len(), bytes.len());
        assert_eq!(running.child.wait().unwrap().code(), Some(0));
        let output = around.output(&["sh", "-c", "printf 'a\\0\\377b'; printf mine >&2; exit 3"]);
        assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"a\0\xffb"[..], Some(3)));
        assert!(output.stderr.starts_with(b"mine"), "{}", String::from_utf8_lossy(&output.stderr));
    });
}

/// Arguments are the command's own: nothing is interpreted, and there must be a command.
#[test]
fn what_stands_behind_the_dashes_is_the_commands() {
    within(secs(30), || {
        let around = Around::config(ECHO);
        let words = ["printf", "%s|", "--seed", "-h", "--", "$HOME", "a b", "*", ""];
        assert_eq!(around.output(&words).stdout, b"--seed|-h|--|$HOME|a b|*||");
        for words in [&["run"][..], &["run", "--"], &["run", "true"]] {
            let output = bare().args(words).output().unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(2), "{said}");
            assert!(said.contains("run") && said.contains("-- <CMD>..."), "{said}");
        }
    });
}

/// Each route is told, in a form that can be connected to; one that has no address is not, whatever was set before.
#[test]
fn the_command_finds_its_routes() {
    within(secs(60), || {
        if TcpListener::bind("[::1]:0").is_err() {
            loudly("SKIPPED: this machine has no IPv6 loopback");
            return;
        }
        let fixed = unused_port();
        let around = Around::config(&format!(
            "admin: 127.0.0.1:0\nroutes:\n\
             - {{name: my-db.1, localPort: auto, upstream: \"builtin:echo\"}}\n\
             - {{name: any, localPort: auto, bind: \"*\", upstream: \"builtin:echo\"}}\n\
             - {{name: all4, localPort: auto, bind: 0.0.0.0, upstream: \"builtin:echo\"}}\n\
             - {{name: six, localPort: auto, bind: \"::1\", upstream: \"builtin:echo\"}}\n\
             - {{name: all6, localPort: auto, bind: \"::\", upstream: \"builtin:echo\"}}\n\
             - {{name: off, localPort: {fixed}, enabled: false, upstream: \"builtin:echo\"}}\n\
             - {{name: gone, localPort: auto, enabled: false, upstream: \"builtin:echo\"}}\n"
        ));
        let around = around.variable("CHAOS_PROXY_GONE_ADDR", "127.0.0.1:1").variable("OTHER", "stays");
        let mut running = Running::of(around.command(&["sh", "-c", &format!("env; {WAITS}")]));
        let variables = running.variables();
        let of = |name: &str| variables.get(name).map(String::as_str);
        for (route, host) in [
            ("MY_DB_1", "127.0.0.1"),
            ("ANY", "127.0.0.1"),
            ("ALL4", "127.0.0.1"),
            ("SIX", "::1"),
            ("ALL6", "::1"),
        ] {
            let told = |what: &str| of(&format!("CHAOS_PROXY_{route}_{what}")).unwrap();
            let address: SocketAddr = told("ADDR").parse().unwrap();
            assert_eq!((told("HOST"), told("PORT")), (host, address.port().to_string().as_str()), "{route}");
            assert_eq!(address.ip().to_string(), host);
            let mut client = connect(address);
            client.write_all(b"x").unwrap();
            assert_eq!(read_byte(&client), Ok(b'x'));
        }
        assert_eq!(of("CHAOS_PROXY_OFF_ADDR"), Some(format!("127.0.0.1:{fixed}").as_str()));
        assert!(
            ["ADDR", "HOST", "PORT"].iter().all(|what| of(&format!("CHAOS_PROXY_GONE_{what}")).is_none())
        );
        assert_eq!(of("OTHER"), Some("stays"));
        let url = of("CHAOS_PROXY_URL").unwrap().strip_prefix("http://").unwrap();
        assert_eq!(Api(url.parse().unwrap()).get("/v1/status").status, 200);
        assert_eq!(running.end(), (String::new(), Some(7)));
    });
}

/// Two routes that would be one variable: nothing starts, and both are named.
#[test]
fn routes_with_one_variable_are_refused() {
    within(secs(30), || {
        let around = Around::config(
            "admin: off\nroutes:\n- {name: a-b, localPort: auto, upstream: \"builtin:echo\"}\n\
             - {name: A.B, localPort: auto, upstream: \"builtin:echo\"}\n",
        );
        let (code, said) = around.code(&["touch", "started"]);
        assert_eq!(code, Some(2), "{said}");
        for word in ["`a-b`", "`A.B`", "CHAOS_PROXY_A_B_ADDR", "another name"] {
            assert!(said.contains(word), "{word}: {said}");
        }
        assert!(!around.path().join("started").exists());
    });
}

/// A port that is taken is told of, and the command never starts.
#[test]
fn a_port_in_use_means_no_command() {
    within(secs(30), || {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        for text in [
            format!("admin: off\nroutes: [{{name: db, localPort: {port}, upstream: \"builtin:echo\"}}]"),
            format!(
                "admin: 127.0.0.1:{port}\nroutes: [{{name: db, localPort: auto, upstream: \"builtin:echo\"}}]"
            ),
        ] {
            let around = Around::config(&text);
            let (code, said) = around.code(&["touch", "started"]);
            assert_eq!(code, Some(3), "{said}");
            assert!(said.contains(&port.to_string()), "{said}");
            assert!(!around.path().join("started").exists());
        }
        let wrong = Around::config("routes: [{name: db, localPort: auto}]");
        assert_eq!(wrong.code(&["touch", "started"]).0, Some(2));
        assert!(!wrong.path().join("started").exists());
    });
}

/// Without a terminal each signal is the command's business: it hears of it and ends as it likes.
#[test]
fn signals_are_passed_on() {
    within(secs(60), || {
        if !plain() {
            return;
        }
        let around = Around::config(ECHO).wrapper(&PLAIN);
        for (signal, name) in
            [(Signal::TERM, "TERM"), (Signal::QUIT, "QUIT"), (Signal::HUP, "HUP"), (Signal::USR2, "USR2")]
        {
            let running = around.start(HEARS);
            running.signal(signal);
            assert_eq!(running.end(), (format!("heard {name}\n"), Some(7)), "{name}");
        }
        let mut running = around.start(HEARS);
        for n in 1..=3 {
            running.signal(Signal::INT);
            assert_eq!(running.line(), format!("got {n}"));
        }
        running.signal(Signal::USR1);
        assert_eq!(running.end(), ("after 3\n".to_owned(), Some(5)));
        // One that does nothing about it is ended by it.
        let running = around.start("echo ready; exec sleep 60");
        running.signal(Signal::INT);
        assert_eq!(running.end(), (String::new(), Some(130)));
    });
}

/// We stay as long as the command does, however often we are asked to go, and so do the routes.
#[test]
fn it_never_ends_before_the_command() {
    within(secs(60), || {
        if !plain() {
            return;
        }
        let around = Around::config(ECHO).wrapper(&PLAIN);
        let script = format!("trap '' TERM INT; trap 'echo alive' USR1; echo $CHAOS_PROXY_DB_ADDR; {WAITS}");
        let mut running = Running::of(around.command(&["bash", "-c", &script]));
        let address: SocketAddr = running.line().parse().unwrap();
        assert_eq!(running.line(), "ready");
        for signal in [Signal::TERM, Signal::INT, Signal::TERM, Signal::INT] {
            running.signal(signal);
            let mut client = connect(address);
            client.write_all(b"x").unwrap();
            assert_eq!(read_byte(&client), Ok(b'x'));
        }
        assert_eq!(running.child.try_wait().unwrap(), None);
        assert_eq!(running.end().1, Some(7));
        assert!(refused(address));
    });
}

/// What was ignored when we started stays so: that is what `nohup` is for.
#[test]
fn an_ignored_signal_stays_ignored() {
    within(secs(30), || {
        let around = Around::config(ECHO).wrapper(&["sh", "-c", "trap '' HUP USR2; exec \"$0\" \"$@\""]);
        let mut running =
            Running::of(around.command(&["sh", "-c", &format!("grep SigIgn /proc/self/status; {WAITS}")]));
        let ignored = running.line();
        let bits = u64::from_str_radix(ignored.split_whitespace().last().unwrap(), 16).unwrap();
        assert!(bits & 1 != 0 && bits & (1 << 11) != 0, "{ignored}");
        // USR1 would end it, were it passed on by mistake for the others.
        assert_eq!(bits & (1 << 9), 0, "{ignored}");
        assert_eq!(running.line(), "ready");
        running.signal(Signal::HUP);
        running.signal(Signal::USR2);
        assert_eq!(running.end(), (String::new(), Some(7)));
    });
}

/// A session of its own, with the terminal on stdin as the one it is controlled by.
const CONTROLLED: [&str; 4] = ["setsid", "--ctty", "env", "--default-signal=HUP,INT,QUIT"];

/// The command has the terminal, and Ctrl-C reaches it once: from the terminal, and not once more from us.
#[test]
fn on_a_terminal_an_interrupt_comes_once() {
    within(secs(60), || {
        if !plain() {
            return;
        }
        let around = Around::config(ECHO).wrapper(&CONTROLLED);
        let script = format!("test -t 0 && test -t 1 && test -t 2 && echo terminal; {HEARS}");
        let mut terminal = Terminal::start(around.command(&["sh", "-c", &script]));
        terminal.until("terminal");
        terminal.until("ready");
        for n in 1..=2 {
            terminal.write("\x03");
            terminal.until(&format!("got {n}"));
        }
        // It comes after whatever was passed on before.
        terminal.signal(Signal::USR1);
        terminal.until("after 2");
        assert_eq!(terminal.end().code(), Some(5));
    });
}

/// Ctrl-Z stops the command and us, and `fg` lets both go on.
#[test]
fn on_a_terminal_a_job_can_be_stopped() {
    within(secs(60), || {
        if !plain() || !runs(&["bash", "-c", "true"]) {
            return;
        }
        let around = Around::config(ECHO).wrapper(&CONTROLLED);
        let mut inner = around.command(&["sh", "-c", "echo ready; read line; echo read $line; exit 7"]);
        inner.env("PS1", "");
        // The wrapper is for the shell that has the jobs.
        let line: Vec<String> =
            inner.get_args().skip(3).map(|word| format!("'{}'", word.to_str().unwrap())).collect();
        let script = format!("set -m; {}; echo stopped $?; fg; echo code $?", line.join(" "));
        let mut command = Command::new(CONTROLLED[0]);
        command.args(&CONTROLLED[1..]).args(["bash", "-c", &script]).current_dir(around.path());
        let mut terminal = Terminal::start(command);
        terminal.until("ready");
        terminal.write("\x1a");
        terminal.until("stopped 148");
        terminal.write("on\n");
        terminal.until("read on");
        terminal.until("code 7");
        assert_eq!(terminal.end().code(), Some(0));
    });
}

/// Two at once do not meet: the control API that nobody asked for by name gives way.
#[test]
fn two_runs_at_once_do_not_meet() {
    within(secs(30), || {
        let text = "routes: [{name: db, localPort: auto, upstream: \"builtin:echo\"}]";
        let (one, two) = (Around::config(text), Around::config(text));
        let script = format!("env; {WAITS}");
        let start = |around: &Around| {
            let mut running = Running::of(around.command(&["sh", "-c", &script]));
            let variables = running.variables();
            (running, variables["CHAOS_PROXY_URL"].clone(), variables["CHAOS_PROXY_DB_ADDR"].clone())
        };
        let ((first, url, address), (second, other_url, other_address)) = (start(&one), start(&two));
        assert!(url != other_url && address != other_address, "{url} {other_url} {address} {other_address}");
        assert_eq!(first.end().1, Some(7));
        connect(other_address.parse().unwrap());
        assert_eq!(second.end().1, Some(7));
    });
}

/// With the control API off, the command does not find somebody else's.
#[test]
fn without_a_control_api_there_is_no_url() {
    within(secs(30), || {
        let around = Around::config(ECHO).variable("CHAOS_PROXY_URL", "http://127.0.0.1:9");
        let output = around.output(&["sh", "-c", "echo ${CHAOS_PROXY_URL-none}"]);
        assert_eq!(output.stdout, b"none\n");
    });
}

/// The clients of a daemon work inside without being told anything: they find the control API and its token.
#[test]
fn inside_the_clients_of_the_daemon_just_work() {
    within(secs(30), || {
        let around = Around::config(
            "admin: {listen: \"127.0.0.1:0\", tokenFile: secret}\n\
             routes: [{name: db, localPort: auto, upstream: \"builtin:echo\"}]",
        );
        let secret = around.path().join("secret");
        std::fs::write(&secret, "s3cret").unwrap();
        std::fs::set_permissions(&secret, PermissionsExt::from_mode(0o600)).unwrap();
        let around = around.variable("CHAOS_PROXY_TOKEN", "of-another-daemon");
        let program = bare().get_program().to_str().unwrap().to_owned();
        let script = format!("cd / && '{program}' routes && '{program}' fault add db latency --delay 1ms");
        let output = around.output(&["sh", "-c", &script]);
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(0), "{said} {}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("builtin:echo") && said.contains("added latency"), "{said}");
    });
}

/// A command that speaks through a route, and whose connections end with it.
#[test]
fn a_command_speaks_through_its_route() {
    within(secs(30), || {
        if !runs(&["bash", "-c", "true"]) {
            return;
        }
        let script =
            "exec 3<>/dev/tcp/$CHAOS_PROXY_DB_HOST/$CHAOS_PROXY_DB_PORT; echo hello >&3; head -n 1 <&3";
        let around = Around::config(ECHO);
        best_of_three("a run with nothing left at its end", ms(900), || {
            let begun = Instant::now();
            let output = around.output(&["bash", "-c", script]);
            assert_eq!((output.stdout.as_slice(), output.status.code()), (&b"hello\n"[..], Some(0)));
            begun.elapsed()
        });
    });
}

/// What is still open when the command has ended has a second, or what the flag says; then nothing is left.
#[test]
fn connections_that_are_left_are_ended() {
    within(secs(60), || {
        // In the file it is about a daemon, which is asked to go and has clients that know nothing of it.
        let text = "preDrainDelay: 60s\ndrainTimeout: 60s\n";
        let around = |flags: &[&str]| Around::config(&format!("{text}{ECHO}")).flags(flags);
        let last = |around: &Around| -> Duration {
            let mut running = Running::of(around.command(&["sh", "-c", &format!("env; {WAITS}")]));
            let address: SocketAddr = running.variables()["CHAOS_PROXY_DB_ADDR"].parse().unwrap();
            let mut client = connect(address);
            client.write_all(b"x").unwrap();
            assert_eq!(read_byte(&client), Ok(b'x'));
            let begun = Instant::now();
            assert_eq!(running.end().1, Some(7), "a connection that was cut is no failure");
            let took = begun.elapsed();
            assert_eq!(read_byte(&client), Err(End::Reset));
            assert!(refused(address));
            took
        };
        let usual = around(&[]);
        best_of_three("the end of a run", ms(1900), || {
            let took = last(&usual);
            assert!(took >= ms(1000), "it waited only {took:?}");
            took
        });
        let quick = around(&["--drain-timeout", "50ms"]);
        best_of_three("the end of a run that does not wait", ms(800), || last(&quick));
    });
}

/// The command has the limits that we were given, and none of our descriptors.
#[test]
fn the_command_gets_what_we_got() {
    within(secs(30), || {
        let shell = "ulimit -Sn 200; exec 0</dev/null; for fd in 3 4 5 6 7 8 9; do eval \"exec $fd>&-\"; done; exec \"$0\" \"$@\"";
        let around = Around::config(ECHO).wrapper(&["sh", "-c", shell]);
        let output =
            around.output(&["sh", "-c", "ulimit -Sn; for fd in /proc/$$/fd/*; do readlink $fd; done"]);
        let said = String::from_utf8(output.stdout).unwrap();
        assert_eq!(said.lines().next(), Some("200"), "{said}");
        assert!(!said.contains("socket:") && !said.contains("anon_inode"), "{said}");
    });
}

/// The command has the word: we say nothing that was not asked for.
#[test]
fn it_is_quiet_unless_asked() {
    within(secs(30), || {
        let said = |flags: &[&str]| {
            let (code, said) = Around::config(ECHO).flags(flags).code(&["true"]);
            assert_eq!(code, Some(0), "{said}");
            said
        };
        let quiet = said(&["--log-format", "json"]);
        assert!(!quiet.contains("route.opened") && !quiet.contains("drain.begun"), "{quiet}");
        let loud = said(&["--log-format", "json", "--log-level", "info"]);
        assert!(loud.contains("route.opened") && loud.contains("drain.begun"), "{loud}");
        let file = Around::config(&format!("log: {{level: info, format: json}}\n{ECHO}")).code(&["true"]).1;
        assert!(file.contains("route.opened"), "{file}");
    });
}

/// As the first process of a container we ask after every process that ends as our child.
#[test]
fn as_the_first_process_it_takes_note_of_orphans() {
    within(secs(60), || {
        let wrapper = ["unshare", "-pf", "--mount-proc", "--kill-child"];
        if !runs(&[&wrapper[..], &["true"]].concat()) {
            return;
        }
        let around = Around::config(ECHO).wrapper(&wrapper);
        // A process that has ended and was not asked after still stands under /proc.
        let script = "orphan=$(sh -c 'sleep 0.1 >/dev/null & echo $!'); test -d /proc/$orphan || exit 1
            i=0; while test -d /proc/$orphan; do i=$((i+1)); test $i -lt 200 || exit 2; sleep 0.05; done; exit 7";
        assert_eq!(around.output(&["sh", "-c", script]).status.code(), Some(7));
        let mut running = around.start(HEARS);
        let parent = running.child.id();
        let children = std::fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
        kill_process(Pid::from_raw(children.trim().parse().unwrap()).unwrap(), Signal::TERM).unwrap();
        assert_eq!(running.line(), "heard TERM");
        assert_eq!(running.end(), (String::new(), Some(7)));
    });
}
