//! How problems look: the one place that lays them out.

use std::fmt;

use super::Place;
use super::diagnostic::{Diagnostic, Note};
use super::source::Source;
use super::text::shown;

/// The problems of one document, in order, with the text they speak of.
#[derive(Debug)]
pub struct Report {
    source: Source,
    problems: Vec<Diagnostic>,
    total: usize,
}

impl Report {
    /// How many are laid out in full.
    const FULL: usize = 20;
    /// How many characters of a source line are shown.
    const WIDTH: usize = 80;

    /// `total` counts also those that were not kept.
    pub fn new(source: Source, problems: Vec<Diagnostic>, total: usize) -> Report {
        Report { source, problems, total }
    }

    /// The problems in the order of the document; beyond the first thousand they are only counted.
    pub fn problems(&self) -> &[Diagnostic] {
        &self.problems
    }

    /// How many problems there are.
    pub fn total(&self) -> usize {
        self.total
    }

    /// Line and column where a place begins, both from 1.
    pub fn line_column(&self, place: &Place) -> (usize, usize) {
        self.source.line_column(place.span.start as usize)
    }

    /// The first problem on one line: `routes.yaml:12:16 dropRate 1.4 is not within 0..1`.
    pub fn brief(&self) -> String {
        let Some(first) = self.problems.first() else {
            return format!("{}: refused", shown(self.source.name()));
        };
        let place = match &first.place {
            Some(place) => self.named(place),
            None => format!("{}:", shown(self.source.name())),
        };
        let more = match self.total {
            0 | 1 => String::new(),
            total => format!(" (and {} more)", total - 1),
        };
        format!("{place} {}{more}", shown(&first.title))
    }

    fn named(&self, place: &Place) -> String {
        let (line, column) = self.line_column(place);
        format!("{}:{line}:{column}", shown(self.source.name()))
    }

    fn write_one(&self, f: &mut fmt::Formatter<'_>, problem: &Diagnostic) -> fmt::Result {
        writeln!(f, "error: {}", shown(&problem.title))?;
        match &problem.place {
            Some(place) => self.write_snippet(f, place, &problem.label)?,
            None => {
                writeln!(f, " --> {}", shown(self.source.name()))?;
                if !problem.label.is_empty() {
                    writeln!(f, "  = {}", shown(&problem.label))?;
                }
            }
        }
        for Note { text, place } in &problem.notes {
            let path = if place.path.is_empty() { String::new() } else { format!("  {}", place.path) };
            writeln!(f, "note: {} at {}{path}", shown(text), self.named(place))?;
        }
        match &problem.help {
            Some(help) => writeln!(f, "help: {}", shown(help)),
            None => Ok(()),
        }
    }

    fn write_snippet(&self, f: &mut fmt::Formatter<'_>, place: &Place, label: &str) -> fmt::Result {
        let at = place.span.start as usize;
        let (line, column) = self.source.line_column(at);
        let range = self.source.line_range(at);
        let text = &self.source.text()[range.clone()];
        let path = if place.path.is_empty() { String::new() } else { format!("  {}", place.path) };

        // A long line is shown around the caret only.
        let from = if column > Self::WIDTH / 2 && text.chars().nth(Self::WIDTH).is_some() {
            column - Self::WIDTH / 2
        } else {
            0
        };
        let (mut shown_line, mut blanks, mut carets) = (String::new(), 0, 0);
        if from > 0 {
            shown_line.push('…');
            blanks += 1;
        }
        let mut chars = text.char_indices().skip(from);
        for (offset, c) in chars.by_ref().take(Self::WIDTH) {
            let here = range.start + offset;
            let cell = self.source.cell(here, c);
            let width = cell.chars().count();
            if here < at {
                blanks += width;
            } else if here < place.span.end as usize {
                carets += width;
            }
            shown_line.push_str(&cell);
        }
        if chars.next().is_some() {
            shown_line.push('…');
        }

        let gutter = line.to_string();
        let pad = " ".repeat(gutter.len());
        let label = if label.is_empty() { String::new() } else { format!(" {}", shown(label)) };
        writeln!(f, "{pad}--> {}{path}", self.named(place))?;
        writeln!(f, "{pad} |")?;
        writeln!(f, "{}", format!("{gutter} | {shown_line}").trim_end())?;
        writeln!(f, "{pad} | {}{}{label}", " ".repeat(blanks), "^".repeat(carets.max(1)))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in self.problems.iter().take(Self::FULL) {
            self.write_one(f, problem)?;
        }
        if self.total > Self::FULL {
            writeln!(f, "and {} more", self.total - Self::FULL)?;
        }
        let errors = if self.total == 1 { "error" } else { "errors" };
        write!(f, "{} {errors} in {}", self.total, shown(self.source.name()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spec::Span;

    fn report(text: &str, range: std::ops::Range<usize>, label: &str) -> String {
        let place = Place { span: Span::new(range), path: "a.b".into(), pointer: "/a/b".into() };
        let problem = Diagnostic::new("it is wrong").at(Some(place)).label(label);
        Report::new(Source::new("f.yaml", text), vec![problem], 1).to_string()
    }

    #[test]
    fn the_caret_stands_under_the_value() {
        assert_eq!(
            report("a:\n  b: 1.4\n", 8..11, "too much"),
            "error: it is wrong\n --> f.yaml:2:6  a.b\n  |\n2 |   b: 1.4\n  |      ^^^ too much\n1 error in f.yaml"
        );
    }

    #[test]
    fn long_lines_are_cut_around_the_caret() {
        let text = format!("{}VALUE{}", "a".repeat(500), "b".repeat(500));
        let report = report(&text, 500..505, "");
        let line = report.lines().nth(3).unwrap();
        let caret = report.lines().nth(4).unwrap();
        assert!(line.chars().count() < 90, "{line}");
        let column = caret.chars().position(|c| c == '^').unwrap();
        assert_eq!(line.chars().skip(column).take(5).collect::<String>(), "VALUE");
    }

    #[test]
    fn escapes_widen_the_caret() {
        let report = report("a: x\u{202e}y", 3..8, "");
        assert!(report.contains("1 | a: x\\u{202e}y\n  |    ^^^^^^^^^^"), "{report}");
    }
}
