//! Where reports are written: opened before a run begins, so that a path that cannot be written is told of at once and
//! the report of yesterday is not taken for that of today.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

use super::report_flag::{Form, ReportFlag};
use super::say;
use super::stop::Stop;
use crate::scenario::report::Report;
use crate::spec::text::shown;

/// The reports of a run that were asked for.
#[derive(Debug, Default)]
pub(super) struct Reports(Vec<Sink>);

#[derive(Debug)]
struct Sink {
    form: Form,
    to: To,
}

#[derive(Debug)]
enum To {
    /// Standard error, in turn with all else that is said there.
    Stderr,
    /// Something that is no file of its own, such as a pipe: it is written to as it is.
    Stream(PathBuf, File),
    /// A file.
    File(Named),
}

#[derive(Debug)]
struct Named {
    path: PathBuf,
    file: File,
    /// Which it is, whatever becomes of its name.
    id: (u64, u64),
    /// What it held is gone, if it held anything.
    emptied: bool,
}

impl Reports {
    /// Opens all of them or, if one cannot be, leaves every file as it was. What the run reads, `inputs`, is written over by
    /// none.
    pub(super) fn open(flags: &[ReportFlag], inputs: &[&Path]) -> Result<Reports, Stop> {
        let mut sinks: Vec<Sink> = Vec::new();
        for flag in flags {
            let opened = match &flag.file {
                None => Ok(To::Stderr),
                Some(path) => open(path, flag.form).map_err(|error| refusal(path, &error)),
            };
            let refused = match opened {
                Ok(to) if is_one_of(&to, inputs) => {
                    let name = flag.file.as_deref().map(name).unwrap_or_default();
                    Stop::wrong(format!(
                        "error: the report would be written over {name}, which this run reads"
                    ))
                }
                Ok(to) => match taken(&sinks, &to) {
                    None => {
                        sinks.push(Sink { form: flag.form, to });
                        continue;
                    }
                    Some(other) => {
                        // What this very opening made is that of the other.
                        let name = flag.file.as_deref().map(name).unwrap_or_default();
                        Stop::wrong(format!(
                            "error: two reports to one file: {}={name} and {}={name}\nhelp: give each its own",
                            other.word(),
                            flag.form.word()
                        ))
                    }
                },
                Err(refused) => refused,
            };
            sinks.iter().for_each(Sink::forget);
            return Err(refused);
        }
        for sink in &mut sinks {
            if let To::File(named) = &mut sink.to
                && !sink.form.appends()
            {
                named.file.set_len(0).map_err(|error| refusal(&named.path, &error))?;
                named.emptied = true;
            }
        }
        Ok(Reports(sinks))
    }

    /// Writes all of them, as far as that is possible, and says of which it is not.
    pub(super) fn write(mut self, report: &Report) -> Result<(), Stop> {
        let mut failed: Vec<String> = Vec::new();
        for sink in std::mem::take(&mut self.0) {
            if let Err(stop) = sink.write(report) {
                failed.push(stop.why);
            }
        }
        if failed.is_empty() { Ok(()) } else { Err(Stop::failed(failed.join("\n"))) }
    }
}

/// A run that came to nothing leaves no report behind, neither an empty one nor that of yesterday.
impl Drop for Reports {
    fn drop(&mut self) {
        self.0.iter().for_each(Sink::forget);
    }
}

impl Sink {
    fn write(self, report: &Report) -> Result<(), Stop> {
        let text = self.form.of(report);
        match self.to {
            To::Stderr if text.is_empty() => Ok(()),
            To::Stderr => {
                say(&text);
                Ok(())
            }
            To::Stream(path, mut file) => {
                file.write_all(text.as_bytes()).map_err(|error| refusal(&path, &error))
            }
            To::File(named) => {
                let path = named.path.clone();
                named.write(self.form, text).map_err(|error| refusal(&path, &error))
            }
        }
    }

    /// Takes away what opening it made empty, unless it is another file by now.
    fn forget(&self) {
        if let To::File(named) = &self.to
            && named.emptied
            && named.is_there()
        {
            let _ = std::fs::remove_file(&named.path);
        }
    }
}

impl Named {
    /// Whether its name is still that of this file.
    fn is_there(&self) -> bool {
        std::fs::metadata(&self.path).is_ok_and(|metadata| id(&metadata) == self.id)
    }

    /// The command may have cleaned up and taken the file with it: then it is made again.
    fn write(self, form: Form, mut text: String) -> io::Result<()> {
        let there = self.is_there();
        let mut file =
            if there { self.file } else { options(form.appends()).create(true).open(&self.path)? };
        if form.appends() && file.metadata()?.len() > 0 {
            text.insert(0, '\n');
        } else if !form.appends() {
            file.set_len(0)?;
        }
        file.write_all(text.as_bytes())
    }
}

fn open(path: &Path, form: Form) -> io::Result<To> {
    // To open these anew would mean to write over what others have written there.
    match path.to_str() {
        Some("/dev/stdout" | "/dev/fd/1" | "/proc/self/fd/1") => return duplicate(path, io::stdout()),
        Some("/dev/stderr" | "/dev/fd/2" | "/proc/self/fd/2") => return duplicate(path, io::stderr()),
        _ => {}
    }
    let descriptor = is_descriptor(path);
    let append = form.appends() || descriptor;
    let (file, new) = match options(append).create_new(true).open(path) {
        Ok(file) => (file, true),
        // A link to nowhere is there too, and is followed.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            (options(append).create(true).open(path)?, false)
        }
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() || descriptor {
        // It was opened without waiting for a reader; writing may wait.
        fcntl_setfl(&file, fcntl_getfl(&file)? - OFlags::NONBLOCK)?;
        return Ok(To::Stream(path.to_owned(), file));
    }
    Ok(To::File(Named { path: path.to_owned(), file, id: id(&metadata), emptied: new }))
}

/// Whether the path is another name for something that is already open, whose content is not ours to take away.
fn is_descriptor(path: &Path) -> bool {
    path.starts_with("/dev/fd") || path.starts_with("/proc")
}

fn duplicate(path: &Path, stream: impl AsFd) -> io::Result<To> {
    Ok(To::Stream(path.to_owned(), File::from(stream.as_fd().try_clone_to_owned()?)))
}

fn options(append: bool) -> OpenOptions {
    let mut options = OpenOptions::new();
    // A pipe that nobody reads is refused and not waited for.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    options.custom_flags(i32::try_from(flags.bits()).unwrap_or_default());
    if append {
        options.append(true)
    } else {
        options.write(true)
    };
    options
}

fn is_one_of(to: &To, inputs: &[&Path]) -> bool {
    let To::File(named) = to else { return false };
    inputs.iter().any(|input| std::fs::metadata(input).is_ok_and(|metadata| id(&metadata) == named.id))
}

fn taken(sinks: &[Sink], to: &To) -> Option<Form> {
    let To::File(named) = to else { return None };
    let same = |sink: &&Sink| matches!(&sink.to, To::File(other) if other.id == named.id);
    sinks.iter().find(same).map(|sink| sink.form)
}

fn id(metadata: &Metadata) -> (u64, u64) {
    (metadata.dev(), metadata.ino())
}

fn name(path: &Path) -> String {
    shown(&path.display().to_string()).into_owned()
}

fn refusal(path: &Path, error: &io::Error) -> Stop {
    let help = match error.kind() {
        ErrorKind::NotFound => "\nhelp: its directory is not there, and none is made",
        _ => "",
    };
    Stop::wrong(format!("error: cannot write the report {}: {error}{help}", name(path)))
}

#[cfg(test)]
mod tests;
