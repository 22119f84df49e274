//! What the tests of the image, the examples and the workflows share: files of this repository, and what the program
//! thinks of a command line.
#![allow(dead_code, unreachable_pub, reason = "each test binary uses some of it")]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say so loudly")]

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde::Deserialize;
use serde_yaml::Value;

/// The repository.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file of it.
pub fn read(file: impl AsRef<Path>) -> String {
    let path = root().join(file);
    std::fs::read_to_string(&path).unwrap_or_else(|why| panic!("{}: {why}", path.display()))
}

/// Every file under a directory of it, as a path from its root.
pub fn files(directory: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut directories = vec![root().join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => directories.push(path),
                false => found.push(path.strip_prefix(root()).unwrap().to_owned()),
            }
        }
    }
    found.sort();
    found
}

/// The documents of a YAML file.
pub fn yaml(file: impl AsRef<Path>) -> Vec<Value> {
    let text = read(&file);
    let documents = serde_yaml::Deserializer::from_str(&text).map(Value::deserialize);
    documents.map(|document| document.unwrap_or_else(|why| panic!("{:?}: {why}", file.as_ref()))).collect()
}

/// A list of words, or none where there is no list.
pub fn words(list: &Value) -> Vec<String> {
    let list = list.as_sequence().map(Vec::as_slice).unwrap_or_default();
    list.iter().map(|word| word.as_str().expect("a word").to_owned()).collect()
}

/// Fails unless the program takes these arguments, and these variables. It does nothing but read them: for the arguments
/// it is asked for help, before which it looks at no variable; for those it is asked something else.
pub fn taken(arguments: &[String], variables: &[(String, String)]) {
    let mut arguments = arguments.to_vec();
    let end = arguments.iter().position(|word| word == "--").unwrap_or(arguments.len());
    arguments.insert(end, "--help".to_owned());
    for arguments in [arguments.as_slice(), &["schema".to_owned()]] {
        let mut program = Command::new(env!("CARGO_BIN_EXE_chaos-proxy"));
        program.env_clear().envs(variables.iter().cloned()).args(arguments).stdin(Stdio::null());
        let output = program.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// The seconds of a period as the tools around us write it: `30s`, `1m`, `35`.
pub fn seconds(text: &str) -> u64 {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let unit = match unit {
        "" | "s" => 1,
        "m" => 60,
        _ => panic!("{text} is no period that is known here"),
    };
    number.parse::<u64>().unwrap() * unit
}

/// Whether there is such a program here.
pub fn there_is(program: &str) -> bool {
    Command::new("sh")
        .args(["-c", &format!("command -v {program}")])
        .stdout(Stdio::null())
        .status()
        .unwrap()
        .success()
}

/// What bash makes of a script on its standard input.
pub fn bash(arguments: &[&str], script: &str) -> String {
    let mut bash = Command::new("bash");
    let mut child = bash
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{script}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The arguments of every call of chaos-proxy that begins a line of a script.
pub fn calls(script: &str) -> Vec<Vec<String>> {
    let joined = script.replace("\\\n", " ");
    let lines = joined.lines().map(str::trim).filter(|line| line.starts_with("chaos-proxy "));
    // With the one variable of a runner that is named there.
    let told = "GITHUB_STEP_SUMMARY=summary.md; chaos-proxy() { printf '%s\\0' \"$@\"; }\n";
    lines
        .map(|line| {
            let said = bash(&["-s"], &format!("{told}{line}"));
            said.split_terminator('\0').map(str::to_owned).collect()
        })
        .collect()
}

/// Fails unless a workflow is one: its jobs need each other in vain nowhere, what it uses is of a named version, what it
/// runs is a script, and its permissions are named.
pub fn check_workflow(file: &Path) -> Value {
    let workflow = yaml(file).remove(0);
    let at = file.display();
    assert!(workflow["name"].is_string() && !workflow["on"].is_null(), "{at}");
    assert_eq!(workflow["permissions"]["contents"], "read", "{at}: no more than that for all jobs");
    let jobs = workflow["jobs"].as_mapping().expect("jobs");
    for (name, job) in jobs {
        let name = name.as_str().unwrap();
        assert!(job["runs-on"].is_string() && job["timeout-minutes"].is_number(), "{at}: {name}");
        let needs = if job["needs"].is_string() {
            vec![job["needs"].as_str().unwrap().to_owned()]
        } else {
            words(&job["needs"])
        };
        for needed in needs {
            assert!(needed != name && jobs.contains_key(needed.as_str()), "{at}: {name} needs {needed}");
        }
        for step in job["steps"].as_sequence().expect("steps") {
            match (step["uses"].as_str(), step["run"].as_str()) {
                (Some(used), None) => check_version(used),
                (None, Some(script)) => {
                    assert!(step["name"].is_string(), "{at}: {name}: a step without a name");
                    check_script(script);
                }
                _ => panic!("{at}: {name}: a step either uses or runs something"),
            }
        }
    }
    check_expressions(&read(file), &workflow);
    workflow
}

/// An action is named with a whole version.
fn check_version(used: &str) {
    let version = used.split_once("@v").unwrap_or_else(|| panic!("{used} has no version")).1;
    let numbers: Vec<&str> = version.split('.').collect();
    assert!(numbers.len() == 3 && numbers.iter().all(|number| number.parse::<u32>().is_ok()), "{used}");
}

fn check_script(script: &str) {
    // What somebody else may have written comes by variables: in the text it would be executed.
    assert!(!script.contains("${{"), "{script}");
    bash(&["-n"], script);
    for word in script.split_whitespace().filter(|word| word.starts_with(".ci/")) {
        assert!(root().join(word).exists(), "there is no {word}");
    }
    for arguments in calls(script) {
        taken(&arguments, &[]);
    }
}

/// Every `${{ … }}` speaks of what there is.
fn check_expressions(text: &str, workflow: &Value) {
    let steps: Vec<&str> = workflow["jobs"]
        .as_mapping()
        .unwrap()
        .values()
        .flat_map(|job| job["steps"].as_sequence().unwrap())
        .filter_map(|step| step["id"].as_str())
        .collect();
    for expression in text.split("${{").skip(1) {
        let expression = expression.split("}}").next().unwrap().trim();
        let parts: Vec<&str> = expression.split('.').collect();
        let known = match parts.as_slice() {
            ["github", _] | ["matrix", "target" | "runner"] | ["secrets", "GITHUB_TOKEN"] => true,
            ["env", variable] => !workflow["env"][*variable].is_null(),
            ["inputs", input] => !workflow["on"]["workflow_dispatch"]["inputs"][*input].is_null(),
            ["steps", step, "outputs", output] => {
                steps.contains(step) && text.contains(&format!("echo \"{output}="))
            }
            _ => expression.starts_with("hashFiles('"),
        };
        assert!(known, "${{{{ {expression} }}}}");
    }
}
