//! These look at a real directory in real time, which takes some seconds: those that can run beside each other do.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::*;

/// Longer than anything takes to be told, on a busy machine too.
const SOON: Duration = Duration::from_secs(30);
/// Longer than anything that follows takes to be told, but for a file that stays away.
const QUIET: Duration = Duration::from_millis(1600);

struct Scene {
    dir: TempDir,
    watch: Watch,
}

impl Scene {
    /// A file `routes.yaml` that holds "one", and its watch.
    fn new() -> Scene {
        Scene::with(|dir| fs::write(dir.join("routes.yaml"), "one").unwrap())
    }

    fn with(prepare: impl FnOnce(&Path)) -> Scene {
        let dir = tempfile::tempdir().unwrap();
        prepare(dir.path());
        let watch = Watch::new(dir.path().join("routes.yaml"));
        Scene { dir, watch }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn file(&self) -> PathBuf {
        self.at("routes.yaml")
    }

    async fn quiet(&mut self, why: &str) {
        assert!(timeout(QUIET, self.watch.changed()).await.is_err(), "{why}: a change was told");
    }

    async fn told_once(&mut self, what: &str) {
        assert!(timeout(SOON, self.watch.changed()).await.is_ok(), "{what}: the change was not told");
        self.quiet(what).await;
    }
}

#[tokio::test]
async fn every_way_of_writing_is_one_change() {
    tokio::join!(
        in_place(),
        rename_over(),
        truncate_then_write(),
        config_map(),
        delete_and_create(),
        touch(),
        unseen_from_outside(),
        dropped_calls(),
    );
}

async fn in_place() {
    let mut scene = Scene::new();
    fs::write(scene.file(), "two").unwrap();
    scene.told_once("written in place").await;
}

async fn rename_over() {
    let mut scene = Scene::new();
    fs::write(scene.at("new"), "two").unwrap();
    fs::rename(scene.at("new"), scene.file()).unwrap();
    scene.told_once("renamed over").await;
}

async fn truncate_then_write() {
    let mut scene = Scene::new();
    let path = scene.file();
    let writer = async {
        fs::write(&path, "").unwrap();
        sleep(Duration::from_millis(300)).await;
        fs::write(&path, "two").unwrap();
    };
    // The writer is looked after first, however late both are.
    tokio::join!(biased; writer, scene.told_once("truncated, then written"));
}

/// A directory of the kubelet's: `routes.yaml` leads through `..data`, and that is replaced.
async fn config_map() {
    let mut scene = Scene::with(|dir| {
        for (name, text) in [("..1", "one"), ("..2", "two")] {
            fs::create_dir(dir.join(name)).unwrap();
            fs::write(dir.join(name).join("routes.yaml"), text).unwrap();
        }
        symlink("..1", dir.join("..data")).unwrap();
        symlink("..data/routes.yaml", dir.join("routes.yaml")).unwrap();
    });
    symlink("..2", scene.at("..data_tmp")).unwrap();
    fs::rename(scene.at("..data_tmp"), scene.at("..data")).unwrap();
    fs::remove_dir_all(scene.at("..1")).unwrap();
    scene.told_once("the link swapped").await;
}

async fn delete_and_create() {
    let mut scene = Scene::new();
    let path = scene.file();
    fs::remove_file(&path).unwrap();
    let creator = async {
        sleep(Duration::from_millis(1200)).await;
        fs::write(&path, "two").unwrap();
    };
    tokio::join!(biased; creator, scene.told_once("deleted and created"));
}

async fn touch() {
    let mut scene = Scene::new();
    sleep(Duration::from_millis(300)).await;
    fs::write(scene.file(), "one").unwrap();
    scene.quiet("touched alone").await;
}

async fn unseen_from_outside() {
    let mut scene = Scene::new();
    // As if the file had been written once more within one tick of the clock after it was first read.
    scene.watch.told = Content::Bytes(0);
    scene.told_once("written within one tick").await;
}

/// The call is dropped far more often than it looks.
async fn dropped_calls() {
    let mut scene = Scene::new();
    fs::write(scene.file(), "two").unwrap();
    while timeout(Duration::from_millis(20), scene.watch.changed()).await.is_err() {}
    scene.quiet("the call dropped").await;
}

#[tokio::test]
async fn a_file_that_stays_away_is_told_once_and_so_is_its_return() {
    let mut scene = Scene::new();
    fs::remove_file(scene.file()).unwrap();
    scene.quiet("it may come back").await;
    scene.told_once("it stays away").await;
    fs::write(scene.file(), "one").unwrap();
    scene.told_once("it is back").await;
}

#[tokio::test]
async fn a_directory_or_a_pipe_in_its_place_is_told_and_never_opened() {
    let mut scene = Scene::new();
    fs::remove_file(scene.file()).unwrap();
    fs::create_dir(scene.file()).unwrap();
    scene.told_once("a directory").await;
    fs::remove_dir(scene.file()).unwrap();
    assert!(Command::new("mkfifo").arg(scene.file()).status().unwrap().success());
    scene.quiet("still no file").await;
    fs::remove_file(scene.file()).unwrap();
    fs::write(scene.file(), "two").unwrap();
    scene.told_once("a file again").await;
}
