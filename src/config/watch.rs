//! Watches a configuration file for changes, by looking at it.
//!
//! Notifications of the system are not used: they reach neither the bind mounts of containers on a desktop nor network
//! file systems, and they speak of directory entries, where it is what a chain of links leads to that matters. A look
//! every quarter of a second costs one `stat`.

#[cfg(test)]
mod tests;

use std::fs::Metadata;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::file;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_millis(250);
/// A change is told when the file was left alone for so long: one that is written in steps is told once.
const SETTLED: Duration = Duration::from_millis(600);
/// A file that is missing for so long will not come back by itself.
const MISSED: Duration = Duration::from_secs(5);
/// The bytes are read once more after this: two changes within one tick of a coarse clock look like one.
const AGAIN: Duration = Duration::from_secs(3);

/// Watches one file.
#[derive(Debug)]
pub struct Watch {
    path: PathBuf,
    /// What was told of last, or was there at the beginning.
    told: Content,
    /// How the file looked last, and since when it has looked so.
    stamp: Stamp,
    since: Instant,
    /// When what looks so is to be looked into.
    due: Option<Instant>,
    next_look: Instant,
}

/// How a file looks from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stamp {
    /// There is none, or it cannot be reached.
    Missing,
    /// A directory, a pipe or the like, which is never opened.
    Other,
    File {
        device: u64,
        inode: u64,
        size: u64,
        modified: (i64, i64),
        changed: (i64, i64),
    },
}

/// What is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Missing,
    Other,
    Unreadable,
    /// The hash of its bytes.
    Bytes(u64),
}

impl Watch {
    /// Watches a file from now on. To be made before the file is read, so that no change falls in between.
    pub fn new(path: impl Into<PathBuf>) -> Watch {
        let path = path.into();
        let now = Instant::now();
        let stamp = Stamp::of(&path);
        // A change so soon that it does not show from outside is found by the look that is due.
        Watch {
            told: stamp.content(&path),
            stamp,
            since: now,
            due: Some(now + stamp.settles_after()),
            next_look: now + LOOK,
            path,
        }
    }

    /// Completes when the file has other bytes than before and is left alone for a moment; also, once, when it stays
    /// away or cannot be read. It may be dropped and called again at any time.
    pub async fn changed(&mut self) {
        loop {
            sleep_until(self.next_look).await;
            if self.look().await {
                return;
            }
        }
    }

    /// Whether there is something to tell.
    async fn look(&mut self) -> bool {
        let path = self.path.clone();
        let stamp = spawn_blocking(move || Stamp::of(&path)).await;
        let now = Instant::now();
        self.next_look = now + LOOK;
        // Nothing is known when the runtime ends.
        let Ok(stamp) = stamp else { return false };
        if self.saw(stamp, now) || self.due.is_none_or(|due| now < due) {
            return false;
        }
        let path = self.path.clone();
        let Ok((content, after)) = spawn_blocking(move || (stamp.content(&path), Stamp::of(&path))).await
        else {
            return false;
        };
        if self.saw(after, Instant::now()) {
            return false;
        }
        let again = self.since + AGAIN;
        self.due = Some(again).filter(|again| *again > now && matches!(content, Content::Bytes(_)));
        std::mem::replace(&mut self.told, content) != content
    }

    /// Whether the file looks other than before: it has to settle anew.
    fn saw(&mut self, stamp: Stamp, now: Instant) -> bool {
        if stamp == self.stamp {
            return false;
        }
        self.stamp = stamp;
        self.since = now;
        self.due = Some(now + stamp.settles_after());
        true
    }
}

impl Stamp {
    /// Follows links to whatever they lead to.
    fn of(path: &Path) -> Stamp {
        match std::fs::metadata(path) {
            Ok(metadata) if metadata.is_file() => Stamp::of_file(&metadata),
            Ok(_) => Stamp::Other,
            Err(_) => Stamp::Missing,
        }
    }

    fn of_file(metadata: &Metadata) -> Stamp {
        Stamp::File {
            device: metadata.dev(),
            inode: metadata.ino(),
            size: metadata.size(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }

    fn settles_after(self) -> Duration {
        match self {
            Stamp::Missing => MISSED,
            Stamp::Other | Stamp::File { .. } => SETTLED,
        }
    }

    /// What is in a file that looks so; nothing but a regular file is opened.
    fn content(self, path: &Path) -> Content {
        match self {
            Stamp::Missing => Content::Missing,
            Stamp::Other => Content::Other,
            Stamp::File { .. } => match file::read_regular(path) {
                Ok(bytes) => {
                    let mut hasher = DefaultHasher::new();
                    bytes.hash(&mut hasher);
                    Content::Bytes(hasher.finish())
                }
                Err(_) => Content::Unreadable,
            },
        }
    }
}
