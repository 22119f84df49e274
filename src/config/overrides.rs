//! What flags and environment variables say over the file.

use super::admin::{AdminSpec, Listen};
use super::document::{Document, Typed};
use super::{Config, Refused};
use crate::observe::{Filter, Format, LogSpec};
use crate::route::Bind;
use crate::spec::{Field, Period};

/// What flags and environment variables say; what is left out stays as the file has it.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// In place of `bind`.
    pub bind: Option<Bind>,
    /// In place of `admin`.
    pub admin: Option<AdminSpec>,
    /// In place of `admin.listen`; the rest of `admin` stays.
    pub admin_listen: Option<Listen>,
    /// In place of `seed`.
    pub seed: Option<u64>,
    /// In place of `log.level`.
    pub log_level: Option<Filter>,
    /// In place of `log.format`.
    pub log_format: Option<Format>,
    /// In place of `drainTimeout`.
    pub drain_timeout: Option<Period>,
    /// `log.level` where neither the file nor any of these says it.
    pub quietly: Option<Filter>,
    /// Whether a list of no routes will do.
    pub may_be_empty: bool,
}

impl Overrides {
    /// What they mean without a file: every default, and no route.
    pub fn alone(&self) -> Result<Config, Refused> {
        let mut typed = Document::read(b"{\"routes\": []}", "flags", &|_| None)?;
        typed.may_be_empty = true;
        typed.over(self).mean()
    }
}

impl Typed {
    /// The document with these in place of what it says.
    #[must_use]
    pub fn over(mut self, overrides: &Overrides) -> Typed {
        let document = &mut self.document;
        put(&mut document.bind, overrides.bind);
        put(&mut document.admin, overrides.admin.clone());
        if let Some(listen) = overrides.admin_listen {
            match &mut document.admin {
                Field::Good { value: AdminSpec::Full(full), .. } => full.listen = Field::from(listen),
                // One that could not be read stays as it is, to be told of.
                Field::Bad => {}
                admin => *admin = Field::from(AdminSpec::Listen(listen)),
            }
        }
        self.may_be_empty |= overrides.may_be_empty;
        put(&mut document.seed, overrides.seed);
        put(&mut document.drain_timeout, overrides.drain_timeout);
        let said = document.log.get().is_some_and(|log| !log.level.is_absent());
        // A `log` that could not be read stays as it is, to be told of.
        let quietly = overrides.quietly.clone().filter(|_| !said && !matches!(document.log, Field::Bad));
        let level = overrides.log_level.clone().or(quietly);
        if level.is_some() || overrides.log_format.is_some() {
            let mut log = document.log.get().cloned().unwrap_or_else(LogSpec::default);
            put(&mut log.level, level);
            put(&mut log.format, overrides.log_format);
            document.log = Field::from(log);
        }
        self
    }
}

fn put<T>(field: &mut Field<T>, value: Option<T>) {
    if let Some(value) = value {
        *field = Field::from(value);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::config::Document;

    #[test]
    fn flags_beat_the_file_and_leave_the_rest() {
        let text = "{seed: 1, log: {level: warn, format: text}, routes: [{localPort: 1, upstream: 'a:1'}]}";
        let typed = Document::read(format!("# yaml\n{text}").as_bytes(), "text", &|_| None).unwrap();
        let overrides = Overrides {
            bind: Some(Bind::Any),
            seed: Some(7),
            log_level: Some(Filter("debug".to_owned())),
            drain_timeout: Some(Period::new(Duration::from_secs(1))),
            ..Overrides::default()
        };
        let config = typed.over(&overrides).mean().unwrap();
        assert_eq!((config.seed, config.bind, config.routes[0].bind), (Some(7), Bind::Any, Bind::Any));
        assert_eq!((config.log.level.0.as_str(), config.log.format), ("debug", Format::Text));
        assert_eq!(config.drain.timeout, Duration::from_secs(1));
    }

    #[test]
    fn an_address_alone_leaves_the_rest_of_admin() {
        let overrides =
            Overrides { admin_listen: Some(Listen("0.0.0.0:7".parse().unwrap())), ..Overrides::default() };
        let admin = |file: &str| {
            let text = format!("{{{file} \"routes\": [{{\"localPort\": 1, \"upstream\": \"a:1\"}}]}}");
            Document::read(text.as_bytes(), "text", &|_| None).unwrap().over(&overrides).mean().unwrap().admin
        };
        let on = |hosts: &[&str]| crate::config::Admin::On {
            listen: "0.0.0.0:7".parse().unwrap(),
            token_file: None,
            allowed_hosts: hosts.iter().map(|host| (*host).to_owned()).collect(),
        };
        assert_eq!(admin(""), on(&[]));
        assert_eq!(admin("\"admin\": \"off\","), on(&[]));
        assert_eq!(admin("\"admin\": {\"allowedHosts\": [\"x\"]},"), on(&["x"]));
    }

    #[test]
    fn a_command_is_quiet_where_nobody_says_otherwise() {
        let level = |file: &str, log_level: Option<&str>| {
            let text = format!("---\n{{{file} routes: [{{localPort: 1, upstream: 'a:1'}}]}}");
            let filter = |text: &str| Filter(text.to_owned());
            let overrides = Overrides {
                log_level: log_level.map(filter),
                quietly: Some(filter("warn")),
                ..Overrides::default()
            };
            Document::read(text.as_bytes(), "text", &|_| None)
                .unwrap()
                .over(&overrides)
                .mean()
                .unwrap()
                .log
                .level
                .0
        };
        assert_eq!(level("", None), "warn");
        assert_eq!(level("log: {format: text},", None), "warn");
        assert_eq!(level("log: {level: info},", None), "info");
        assert_eq!(level("log: {level: info},", Some("debug")), "debug");
    }
}
