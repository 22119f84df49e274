//! What to type to take a change back, ready for the shell.

use super::shell::quoted;
use crate::spec::text::is_hostile;

/// The words of a command of this program.
#[derive(Clone, Debug)]
pub(super) struct Undo {
    words: Vec<String>,
    sayable: bool,
}

impl Undo {
    /// A command and what it is about. Where that begins with a dash there is no such line: it would be read as a flag.
    pub(super) fn new<'a>(words: impl IntoIterator<Item = &'a str>) -> Undo {
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let sayable = words.iter().all(|word| !word.starts_with('-'));
        Undo { words, sayable }
    }

    /// With a flag and its value behind.
    #[must_use]
    pub(super) fn with(mut self, flag: &str, value: &str) -> Undo {
        if value.starts_with('-') {
            self.words.push(format!("{flag}={value}"));
        } else {
            self.words.extend([flag.to_owned(), value.to_owned()]);
        }
        self
    }

    /// As a line for the shell; none where no shell can be trusted to understand the same.
    pub(super) fn line(&self) -> Option<String> {
        if !self.sayable || self.words.iter().any(|word| word.chars().any(is_hostile)) {
            return None;
        }
        let mut line = "chaos-proxy".to_owned();
        for word in &self.words {
            line.push(' ');
            line.push_str(&quoted(word.as_ref()));
        }
        Some(line)
    }
}

/// What was done, and on the same line how to take it back.
pub(super) fn told(done: &str, undo: Option<&Undo>) -> String {
    match undo.and_then(Undo::line) {
        Some(undo) => format!("{done}        undo: {undo}\n"),
        None => format!("{done}\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shell_reads_what_was_meant() {
        let line = |name| Undo::new(["fault", "rm", "web", name]).with("--url", "http://h:1").line();
        assert_eq!(line("slow").as_deref(), Some("chaos-proxy fault rm web slow --url http://h:1"));
        assert_eq!(
            line("it's $5").as_deref(),
            Some(r"chaos-proxy fault rm web 'it'\''s $5' --url http://h:1")
        );
        assert_eq!((line("a\u{1b}[2J"), line("-x")), (None, None));
        assert_eq!(told("done", None), "done\n");
    }
}
