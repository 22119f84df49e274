//! What is wrong with values that are each fine by themselves, said by the specification that knows them.

use super::{Diagnostic, NodeId, Place};

/// Values that cannot be beside each other. It knows nodes; who reads the document knows their places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The value that is told of.
    pub at: Option<NodeId>,
    /// What is wrong, in a sentence that also stands alone on a line.
    pub title: String,
    /// What to do, beside the caret.
    pub label: &'static str,
    /// What else there is to do.
    pub help: Option<&'static str>,
    /// Another value that has to do with it, and the words before its place.
    pub other: Option<(&'static str, NodeId)>,
}

impl Complaint {
    /// About one value.
    pub fn new(at: Option<NodeId>, title: impl Into<String>, label: &'static str) -> Complaint {
        Complaint { at, title: title.into(), label, help: None, other: None }
    }

    /// As a problem of the document.
    pub fn told(self, place: impl Fn(NodeId) -> Place) -> Diagnostic {
        let mut problem = Diagnostic::new(self.title).at(self.at.map(&place)).label(self.label);
        problem.help = self.help.map(str::to_owned);
        match self.other {
            Some((words, node)) => problem.note(words, Some(place(node))),
            None => problem,
        }
    }
}
