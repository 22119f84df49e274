//! Faults that are aimed at one endpoint: it must be one of their route's.

use super::sheet::Sheet;
use crate::fault::FaultSpec;
use crate::spec::suggest::nearest;
use crate::spec::{Diagnostic, NodeId};
use crate::upstream::Endpoint;

/// Notes a fault whose `endpoint` is not among `endpoints`, which stand at these places. `item` is the fault's own.
pub(super) fn check(
    fault: &FaultSpec,
    item: Option<NodeId>,
    endpoints: &[(&Endpoint, Option<NodeId>)],
    sheet: &mut Sheet,
) {
    let Some(aim) = &fault.trigger.endpoint else { return };
    if endpoints.iter().any(|(endpoint, _)| *endpoint == aim) {
        return;
    }
    // What an endpoint is called in the text: what stands there may have come from the environment.
    let written = |endpoint: &Endpoint, node: Option<NodeId>| match node {
        Some(node) => sheet.source.quote(sheet.tree.span(node), 80).trim_matches(['"', '\'']).to_owned(),
        None => endpoint.to_string(),
    };
    let known: Vec<String> = endpoints.iter().map(|(endpoint, node)| written(endpoint, *node)).collect();
    let node = item.map(|item| {
        let effect = sheet.tree.get(item, fault.effect.word());
        effect.and_then(|effect| sheet.tree.get(effect, "endpoint")).unwrap_or(item)
    });
    let name = written(aim, node);
    let label = nearest(&name, known.iter().map(String::as_str));
    let mut problem = Diagnostic::new(format!("`{name}` is no endpoint of this route"))
        .at(sheet.place(node))
        .label(label.map(|near| format!("did you mean `{near}`?")).unwrap_or_default());
    if !known.is_empty() {
        problem = problem.help(format!("its endpoints are {}", known.join(", ")));
    }
    sheet.note(problem);
}
