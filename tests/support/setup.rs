//! What a test starts: a configuration put together, and how the program is run.

use std::fmt::Display;

use super::Daemon;

/// One route of a configuration: `localPort: auto`, so that tests never meet on a port. `rest` is more of the YAML flow
/// mapping, such as `dropRate: 1`, or empty.
pub(crate) fn route(name: &str, upstream: impl Display, rest: &str) -> String {
    fixed_route(name, "auto", upstream, rest)
}

/// The same with a port. An upstream that is a flow mapping stands as it is.
pub(crate) fn fixed_route(name: &str, port: impl Display, upstream: impl Display, rest: &str) -> String {
    let comma = if rest.is_empty() { "" } else { ", " };
    let upstream = upstream.to_string();
    let quote = if upstream.starts_with('{') { "" } else { "\"" };
    format!("  - {{name: {name}, localPort: {port}, upstream: {quote}{upstream}{quote}{comma}{rest}}}")
}

/// A configuration and a command line.
pub(crate) struct Setup {
    pub(super) top: Vec<String>,
    pub(super) routes: Vec<String>,
    pub(super) arguments: Vec<String>,
    pub(super) wrapper: Vec<String>,
}

impl Setup {
    /// One route.
    pub(crate) fn route(name: &str, upstream: impl Display, rest: &str) -> Self {
        Setup::routes([route(name, upstream, rest)])
    }

    /// These routes, as [`route`] writes them. The seed is fixed, so that every run is the same.
    pub(crate) fn routes(routes: impl IntoIterator<Item = String>) -> Self {
        Setup {
            top: vec!["admin: off".to_owned()],
            routes: routes.into_iter().collect(),
            arguments: vec!["--seed".to_owned(), "42".to_owned()],
            wrapper: Vec::new(),
        }
    }

    /// One more route, on a fixed port.
    pub(crate) fn fixed(mut self, name: &str, port: u16, upstream: impl Display) -> Self {
        self.routes.push(fixed_route(name, port, upstream, ""));
        self
    }

    /// With the control API on a port that the system chooses.
    pub(crate) fn admin(mut self) -> Self {
        self.top[0] = "admin: 127.0.0.1:0".to_owned();
        self
    }

    /// Without the line that turns the control API off: another one stands for it.
    pub(crate) fn without_admin_off(mut self) -> Self {
        self.top.remove(0);
        self
    }

    /// A line at the top level of the configuration.
    pub(crate) fn top(mut self, line: &str) -> Self {
        self.top.push(line.to_owned());
        self
    }

    /// These arguments after `--config FILE`, instead of the seed.
    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        self
    }

    /// Telling only of routes and of what is wrong: for so many connections that their lines would be the load.
    pub(crate) fn quiet(self) -> Self {
        self.arguments(&["--seed", "42", "--log-level", "warn,route=info,control=info,drain=info"])
    }

    /// Run by this command: the program and its arguments follow it.
    pub(crate) fn wrapper(mut self, words: &[&str]) -> Self {
        self.wrapper = words.iter().map(|word| (*word).to_owned()).collect();
        self
    }

    /// Run with this many descriptors.
    pub(crate) fn descriptors(self, limit: u32) -> Self {
        self.wrapper(&["sh", "-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")])
    }

    /// The configuration's text.
    pub(crate) fn text(&self) -> String {
        format!("{}\nroutes:\n{}\n", self.top.join("\n"), self.routes.join("\n"))
    }

    /// Starts it, and waits until every route is open.
    pub(crate) fn start(self) -> Daemon {
        let routes = self.routes.len();
        let daemon = Daemon::spawn(&self);
        daemon.wait_ready(routes);
        daemon
    }
}
