//! What a command that only reads files has to say.

/// What a command has to say: answers for stdout, complaints for stderr.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Said {
    /// For stdout: what the command was asked for.
    pub answer: String,
    /// For stderr: what is wrong.
    pub complaint: String,
    /// That something is wrong which the answer tells of.
    pub wrong: bool,
}

impl Said {
    /// Whether there is nothing to complain about.
    pub fn success(&self) -> bool {
        self.complaint.is_empty() && !self.wrong
    }

    pub(super) fn well(&mut self, text: &str) {
        add(&mut self.answer, text);
    }

    pub(super) fn ill(&mut self, text: &str) {
        add(&mut self.complaint, text);
    }
}

fn add(to: &mut String, text: &str) {
    to.push_str(text);
    to.push('\n');
}

/// The variables of this process, for the substitutions of a file. One that is not UTF-8 counts as not set.
pub fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
