use std::fs;
use std::time::{Duration, SystemTime};

use super::*;
use crate::cli::Exit;

fn report() -> Report {
    Report {
        scenario: None,
        seed: 7,
        again: "again".to_owned(),
        started: SystemTime::UNIX_EPOCH,
        took: Duration::from_secs(1),
        command: None,
        expectations: Vec::new(),
        steps: Vec::new(),
        unplayed: 0,
        routes: Vec::new(),
    }
}

fn flag(form: Form, path: impl Into<PathBuf>) -> ReportFlag {
    ReportFlag { form, file: Some(path.into()) }
}

fn why(flags: &[ReportFlag]) -> String {
    let stop = Reports::open(flags, &[]).unwrap_err();
    assert_eq!(stop.exit, Exit::Wrong);
    stop.why
}

#[test]
fn yesterdays_report_is_gone_before_the_run_begins() {
    let dir = tempfile::tempdir().unwrap();
    let (old, summary) = (dir.path().join("old.json"), dir.path().join("summary.md"));
    fs::write(&old, "x".repeat(9999)).unwrap();
    fs::write(&summary, "before\n").unwrap();
    let reports = Reports::open(&[flag(Form::Json, &old), flag(Form::Markdown, &summary)], &[]).unwrap();
    assert_eq!(
        (fs::read(&old).unwrap().len(), fs::read_to_string(&summary).unwrap().as_str()),
        (0, "before\n")
    );
    reports.write(&report()).unwrap();
    assert_eq!(fs::read_to_string(&old).unwrap(), Form::Json.of(&report()));
    // A summary has a part from each step of a job.
    let part = Form::Markdown.of(&report());
    assert_eq!(fs::read_to_string(&summary).unwrap(), format!("before\n\n{part}"));
    Reports::open(&[flag(Form::Markdown, &summary)], &[]).unwrap().write(&report()).unwrap();
    assert_eq!(fs::read_to_string(&summary).unwrap(), format!("before\n\n{part}\n{part}"));
}

#[test]
fn what_cannot_be_written_is_told_at_once_and_nothing_is_touched() {
    let dir = tempfile::tempdir().unwrap();
    let (kept, new) = (dir.path().join("kept"), dir.path().join("new"));
    fs::write(&kept, "yesterday").unwrap();
    let nowhere = dir.path().join("no/dir/x.xml");
    let flags = [flag(Form::Json, &kept), flag(Form::Junit, &new), flag(Form::Junit, &nowhere)];
    let why = why(&flags);
    assert!(
        why.starts_with("error: cannot write the report /") && why.contains("x.xml: No such file"),
        "{why}"
    );
    assert!(why.ends_with("help: its directory is not there, and none is made"), "{why}");
    assert_eq!((fs::read_to_string(&kept).unwrap().as_str(), new.exists()), ("yesterday", false));
    assert!(self::why(&[flag(Form::Json, dir.path())]).contains("directory"));
}

#[test]
fn two_reports_to_one_file_are_refused_whatever_it_is_called() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("file"), dir.path().join("link"));
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let refused = why(&[flag(Form::Json, &file), flag(Form::Junit, &link)]);
    assert!(refused.starts_with("error: two reports to one file: json="), "{refused}");
    assert!(!file.exists());
    fs::write(&file, "yesterday").unwrap();
    why(&[flag(Form::Json, &file), flag(Form::Json, dir.path().join("./file"))]);
    assert_eq!(fs::read_to_string(&file).unwrap(), "yesterday");
    // A stream can take both.
    let null = "/dev/null";
    Reports::open(&[flag(Form::Json, null), flag(Form::Junit, null)], &[]).unwrap().write(&report()).unwrap();
}

#[test]
fn a_report_is_there_although_the_command_cleaned_up() {
    let dir = tempfile::tempdir().unwrap();
    let (removed, replaced) = (dir.path().join("removed"), dir.path().join("replaced"));
    let flags = [flag(Form::Json, &removed), flag(Form::Junit, &replaced)];
    let reports = Reports::open(&flags, &[]).unwrap();
    fs::remove_file(&removed).unwrap();
    fs::write(dir.path().join("other"), "x".repeat(9999)).unwrap();
    fs::rename(dir.path().join("other"), &replaced).unwrap();
    reports.write(&report()).unwrap();
    assert_eq!(fs::read_to_string(&removed).unwrap(), Form::Json.of(&report()));
    assert_eq!(fs::read_to_string(&replaced).unwrap(), Form::Junit.of(&report()));
    let reports = Reports::open(&flags, &[]).unwrap();
    fs::remove_dir_all(dir.path()).unwrap();
    let stop = reports.write(&report()).unwrap_err();
    assert_eq!((stop.exit, stop.why.matches("cannot write").count()), (Exit::Failed, 2));
}

#[cfg(target_os = "linux")]
#[test]
fn a_pipe_is_written_to_and_one_that_nobody_reads_is_refused() {
    use std::io::Read;

    use rustix::fs::{CWD, FileType, Mode, mknodat};
    let dir = tempfile::tempdir().unwrap();
    let pipe = dir.path().join("pipe");
    mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    assert!(why(&[flag(Form::Json, &pipe)]).contains("cannot write"));
    let mut options = OpenOptions::new();
    options.custom_flags(i32::try_from(OFlags::NONBLOCK.bits()).unwrap());
    let mut reader = options.read(true).open(&pipe).unwrap();
    Reports::open(&[flag(Form::Json, &pipe)], &[]).unwrap().write(&report()).unwrap();
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, Form::Json.of(&report()));
}

#[test]
fn a_run_that_comes_to_nothing_leaves_no_report_and_what_it_reads_is_safe() {
    let directory = tempfile::tempdir().unwrap();
    let (old, new, summary) =
        ["old.json", "new.xml", "summary.md"].map(|name| directory.path().join(name)).into();
    std::fs::write(&old, "of yesterday").unwrap();
    std::fs::write(&summary, "of the job").unwrap();
    let flags = [flag(Form::Json, &old), flag(Form::Junit, &new), flag(Form::Markdown, &summary)];
    drop(Reports::open(&flags, &[]).unwrap());
    assert_eq!((old.exists(), new.exists()), (false, false));
    assert_eq!(std::fs::read_to_string(&summary).unwrap(), "of the job");

    std::fs::write(&old, "routes").unwrap();
    let stop = Reports::open(&flags, &[&old]).unwrap_err();
    assert!(stop.why.contains("would be written over") && stop.why.contains("old.json"), "{}", stop.why);
    assert_eq!(std::fs::read_to_string(&old).unwrap(), "routes");
}
