//! `--report FORM=FILE`: in what form a run is told of, and where.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::builder::{OsStringValueParser, TypedValueParser};

use crate::scenario::report::{Report, github, json, junit, markdown};
use crate::spec::suggest::nearest;
use crate::spec::text::shown_short;

/// What can be written.
const INSTEAD: &str = "write junit=FILE, json=FILE, markdown=FILE, github=FILE or github";

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Junit,
    Json,
    Markdown,
    Github,
}

impl Form {
    const ALL: [Form; 4] = [Form::Junit, Form::Json, Form::Markdown, Form::Github];

    /// The word for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Form::Junit => "junit",
            Form::Json => "json",
            Form::Markdown => "markdown",
            Form::Github => "github",
        }
    }

    /// The report in this form.
    pub(super) fn of(self, report: &Report) -> String {
        match self {
            Form::Junit => junit::write(report),
            Form::Json => json::write(report),
            Form::Markdown => markdown::write(report),
            Form::Github => github::write(report),
        }
    }

    /// Whether it is written behind what the file has: the summary of a job has a part from each of its steps.
    pub(super) fn appends(self) -> bool {
        self == Form::Markdown
    }
}

/// One `--report`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReportFlag {
    pub(super) form: Form,
    /// None is standard error.
    pub(super) file: Option<PathBuf>,
}

impl ReportFlag {
    /// For clap; a path need not be UTF-8.
    pub(super) fn parser() -> impl TypedValueParser<Value = ReportFlag> {
        OsStringValueParser::new().try_map(|text| ReportFlag::read(&text))
    }

    fn read(text: &OsStr) -> Result<ReportFlag, String> {
        let bytes = text.as_bytes();
        let cut = bytes.iter().position(|byte| *byte == b'=');
        let (word, file) = match cut.and_then(|cut| bytes.split_at_checked(cut)) {
            Some((word, file)) => (word, file.get(1..)),
            None => (bytes, None),
        };
        let word = String::from_utf8_lossy(word);
        let Some(form) = Form::ALL.into_iter().find(|form| form.word() == word) else {
            return Err(unknown(&word, file.is_some(), Path::new(text)));
        };
        match file {
            None if form == Form::Github => Ok(ReportFlag { form, file: None }),
            None | Some(b"") => Err(format!("{word} needs a file: write {word}=FILE")),
            Some(b"-") => Err(format!(
                "`-` is no file here: write {word}=/dev/stdout, or {word}=./- for a file of that name"
            )),
            Some(file) => {
                Ok(ReportFlag { form, file: Some(PathBuf::from(OsString::from(OsStr::from_bytes(file)))) })
            }
        }
    }
}

/// Why a word is no form: most often the form was left out, or has another name here.
fn unknown(word: &str, has_file: bool, path: &Path) -> String {
    let form = path.extension().and_then(|ending| match ending.as_bytes() {
        b"xml" => Some(Form::Junit),
        b"json" => Some(Form::Json),
        b"md" => Some(Form::Markdown),
        _ => None,
    });
    let name = shown_short(word, 200);
    if let (Some(form), false) = (form, has_file) {
        return format!("which form? write {}={name}", form.word());
    }
    match nearest(word, Form::ALL.map(Form::word)) {
        Some(meant) => format!("there is no form `{name}`, did you mean `{meant}`? {INSTEAD}"),
        None => format!("there is no form `{name}`: {INSTEAD}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &[u8]) -> Result<ReportFlag, String> {
        ReportFlag::read(OsStr::from_bytes(text))
    }

    #[test]
    fn a_form_and_a_file_are_read() {
        for (text, form, file) in [
            (&b"junit=chaos.xml"[..], Form::Junit, Some(&b"chaos.xml"[..])),
            (b"json=a=b", Form::Json, Some(b"a=b")),
            (b"markdown=/x/\xff", Form::Markdown, Some(b"/x/\xff")),
            (b"github=f", Form::Github, Some(b"f")),
            (b"github", Form::Github, None),
            (b"json=./-", Form::Json, Some(b"./-")),
        ] {
            let file = file.map(|file| PathBuf::from(OsStr::from_bytes(file)));
            assert_eq!(read(text), Ok(ReportFlag { form, file }));
        }
    }

    #[test]
    fn what_is_wrong_says_what_to_write() {
        for (text, why) in [
            (&b"junit"[..], "junit needs a file: write junit=FILE"),
            (b"json=", "json needs a file: write json=FILE"),
            (b"json=-", "`-` is no file here: write json=/dev/stdout, or json=./- for a file of that name"),
            (b"out/chaos.xml", "which form? write junit=out/chaos.xml"),
            (b"summary.md", "which form? write markdown=summary.md"),
            (
                b"JUnit=x",
                "there is no form `JUnit`, did you mean `junit`? \
                 write junit=FILE, json=FILE, markdown=FILE, github=FILE or github",
            ),
            (
                b"html=x.html",
                "there is no form `html`: write junit=FILE, json=FILE, markdown=FILE, github=FILE or github",
            ),
            (b"", "there is no form ``: write junit=FILE, json=FILE, markdown=FILE, github=FILE or github"),
            (
                b"\x1b[2J\xff=x",
                "there is no form `\\u{1b}[2J\u{fffd}`: \
                 write junit=FILE, json=FILE, markdown=FILE, github=FILE or github",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), why);
        }
    }
}
