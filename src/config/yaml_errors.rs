//! What the YAML parser stumbled over, in words for the person who wrote it.

use granit_parser::ErrorKind;

use super::builder::{here, too_deep};
use crate::spec::{Diagnostic, Span};

/// The problem of a text that is not YAML. `bracket` is the `[` or `{` that is open at that place.
pub(super) fn explain(text: &str, kind: &ErrorKind, at: usize, bracket: Option<Span>) -> Diagnostic {
    use ErrorKind as K;
    let at = at.min(text.len());
    let width = text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
    let span = Span::new(at..at + width);
    let (title, label) = match kind {
        K::RecursionLimitExceeded => return too_deep(span),
        K::TabInBlockIndentation | K::TabInIndentation | K::TabNotAllowed | K::TabInPlainScalar => {
            ("a tab indents this line", "indent with blanks")
        }
        K::InvalidBlockEntryWhitespace | K::InvalidMappingValueWhitespace | K::TabAtBlockScalarStart => {
            ("a tab stands where a blank belongs", "use blanks")
        }
        K::UnclosedQuotedScalar
        | K::DocumentIndicatorInQuotedScalar
        | K::InvalidQuotedScalarIndent
        | K::InvalidFlowScalarIndent => {
            // The parser stops where the text runs into what follows; the last quote before that opened it.
            let before = text.get(..at).unwrap_or_default();
            let quote = before.rfind(['"', '\'']).map_or(span, |quote| Span::new(quote..quote + 1));
            return Diagnostic::new("a quote is not closed").at(Some(here(quote))).label("it is opened here");
        }
        K::UnclosedFlowCollection { .. } => ("a bracket is not closed", "it is opened here"),
        K::MisplacedFlowCollectionEnd => ("a bracket closes what nothing opened", "take it away"),
        K::MismatchedFlowCollectionEnd { open, close } => {
            let title = format!("`{open}` is closed by `{close}`");
            return with_bracket(
                Diagnostic::new(title).at(Some(here(span))).label("it is opened here"),
                bracket,
            );
        }
        K::ExpectedFlowMappingSeparator | K::UnexpectedEofFlowMapping => {
            ("`,` or `}` is missing", "before this")
        }
        K::ExpectedFlowSequenceSeparator | K::UnexpectedEofFlowSequence => {
            ("`,` or `]` is missing", "before this")
        }
        K::InvalidColonPlacement | K::UnexpectedEofImplicitFlowMapping | K::BlockEntryInFlowCollection
            if bracket.is_some() =>
        {
            ("this does not belong inside brackets", "is a bracket not closed before it?")
        }
        K::ExpectedBlockMappingKey | K::InvalidIndentation | K::InvalidBlockScalarIndent => {
            ("the indentation is wrong, or a key is missing", "this fits no line above it")
        }
        K::ExpectedBlockSequenceEntry | K::BlockSequenceEntryNotAllowed => {
            ("the indentation is wrong, or a `- ` is missing", "this fits no line above it")
        }
        K::MappingValueNotAllowed | K::MappingKeyNotAllowed => {
            ("a second `:` on a line, or a key out of place", "text that holds `: ` needs quotes")
        }
        K::SimpleKeyExpected | K::InvalidSimpleKey => ("`:` is missing after this key", "write `key: value`"),
        K::ExpectedDocumentStart | K::InvalidDocumentEnd => {
            ("something stands after the end of the document", "the document ended before this")
        }
        K::UnknownQuotedScalarEscape => {
            ("an unknown escape in a quoted text", "write \\\\ for a backslash, or use single quotes")
        }
        K::InvalidQuotedScalarHexEscape
        | K::InvalidLowSurrogateHexEscape
        | K::InvalidLowSurrogate
        | K::MissingLowSurrogate
        | K::UnpairedLowSurrogate
        | K::InvalidUnicodeEscape => ("an escape that stands for no character", "this is no character"),
        K::InvalidTrailingDoubleQuotedScalar | K::InvalidTrailingSingleQuotedScalar => {
            ("something follows a closing quote", "put all of it in quotes, or none")
        }
        K::UnexpectedCharacter { character } if character.is_control() => {
            let title = format!("the control character U+{:04X} stands in the text", u32::from(*character));
            return Diagnostic::new(title).at(Some(here(span))).label("take it away");
        }
        K::UnexpectedCharacter { character } => {
            let title = format!("text cannot begin with `{character}`");
            return Diagnostic::new(title).at(Some(here(span))).label("put it in quotes");
        }
        K::InvalidBlockScalarHeader => ("`>` and `|` begin a text of several lines", "put it in quotes"),
        K::BomInsideDocument => ("a byte order mark inside the text", "take it away"),
        K::CommentNotSeparated => ("a comment needs a blank before its `#`", "put a blank before it"),
        K::UnsupportedYamlMajorVersion => ("not a version of YAML this program reads", "YAML 1.2 is read"),
        other => {
            let what = words(other);
            return with_bracket(
                Diagnostic::new(format!("this is not YAML: {what}")).at(Some(here(span))).label("here"),
                bracket,
            );
        }
    };
    let line = text.get(..at).unwrap_or_default().rfind('\n').map_or(0, |newline| newline + 1);
    let mut problem = Diagnostic::new(title).at(Some(here(span))).label(label);
    if bracket.is_some()
        && text.get(line..).unwrap_or_default().lines().next().is_some_and(|line| line.contains("${"))
    {
        problem = problem.help("inside brackets `${NAME}` needs quotes: \"${NAME}\"");
    }
    with_bracket(problem, bracket)
}

fn with_bracket(problem: Diagnostic, bracket: Option<Span>) -> Diagnostic {
    let place = bracket.map(|span| Span { end: span.start + 1, ..span });
    let same = place.map(|span| span.start) == problem.place.as_ref().map(|place| place.span.start);
    if same { problem } else { problem.note("the bracket is opened", place.map(here)) }
}

/// The name of an error kind as words: `MissingTagUri` is "missing tag uri".
fn words(kind: &ErrorKind) -> String {
    let name = format!("{kind:?}");
    let mut out = String::new();
    for c in name.chars().take_while(|c| c.is_ascii_alphanumeric()) {
        if c.is_ascii_uppercase() && !out.is_empty() {
            out.push(' ');
        }
        out.push(c.to_ascii_lowercase());
    }
    out
}
