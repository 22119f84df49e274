//! The reader held against another one: what serde_yaml understands of a text, the tree must hold.

use proptest::prelude::*;
use serde_yaml::{Mapping, Value};

use super::builder::Builder;
use super::tree::{Kind, Tree};
use crate::spec::NodeId;

fn tree(text: &str) -> Tree {
    let mut builder = Builder::default();
    let read = if text.trim_start().starts_with(['{', '[']) { super::json::read } else { super::yaml::read };
    if let Err(problem) = read(text, &mut builder) {
        panic!("{}: {}\n{text}", problem.title, problem.label);
    }
    let (tree, problems) = builder.finish();
    assert!(problems.is_empty(), "{:?}\n{text}", problems.into_sorted());
    tree
}

fn value(tree: &Tree, node: NodeId) -> Value {
    match tree.kind(node) {
        Kind::Null => Value::Null,
        Kind::Bool(value) => (*value).into(),
        Kind::Int(value) => match u64::try_from(*value) {
            Ok(value) => value.into(),
            Err(_) => i64::try_from(*value).unwrap().into(),
        },
        Kind::Float(value) => (*value).into(),
        Kind::Text(text) => (&**text).into(),
        Kind::List(items) => items.iter().map(|item| value(tree, *item)).collect(),
        Kind::Map(entries) => {
            let map: Mapping =
                entries.iter().map(|entry| (Value::from(&*entry.key), value(tree, entry.value))).collect();
            map.into()
        }
        // To YAML 1.2 these are text; wherever they matter, this program wants quotes around them.
        Kind::Odd(text) => (&**text).into(),
        odd @ (Kind::Substituted(_) | Kind::Broken) => panic!("{odd:?}"),
    }
}

#[test]
fn every_example_is_the_tree_that_serde_yaml_reads() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files: Vec<_> = std::fs::read_dir(root.join("examples"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .collect();
    files.push(root.join("config.example.yaml"));
    for path in files {
        let text = std::fs::read_to_string(&path).unwrap();
        let mut theirs: Value = serde_yaml::from_str(&text).unwrap();
        theirs.apply_merge().unwrap();
        let ours = tree(&text);
        assert_eq!(value(&ours, ours.root()), theirs, "{path:?}");
    }
}

fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9f64).prop_map(Value::from),
        "[ -~äß\n\t]{0,20}".prop_map(Value::from),
        prop::sample::select(vec![
            "~", "null", "true", "1e3", "0x1F", "1_000", "<<", "- a", "a: b", "#", "", " "
        ])
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map("[a-zA-Z][a-zA-Z0-9_ .-]{0,8}", inner, 0..5).prop_map(|map| {
                let map: Mapping = map.into_iter().map(|(key, value)| (Value::from(key), value)).collect();
                Value::from(map)
            }),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_yaml_writes_is_read_as_the_same(theirs in any_value()) {
        let text = serde_yaml::to_string(&theirs).unwrap();
        let ours = tree(&format!("---\n{text}"));
        prop_assert_eq!(value(&ours, ours.root()), theirs, "{}", text);
    }

    #[test]
    fn what_serde_json_writes_is_read_as_the_same(theirs in any_value()) {
        let text = serde_json::to_string(&vec![&theirs]).unwrap();
        let ours = tree(&text);
        prop_assert_eq!(value(&ours, ours.root()), Value::from(vec![theirs]), "{}", text);
    }
}
