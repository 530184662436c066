//! Writing, and the way back.

use std::fs;
use std::path::{Path, PathBuf};

use connect::{ConfigFile, Error, MAX_BACKUPS, MAX_BYTES, Undo};

fn folder(files: &[(&str, &str)]) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let file = folder.path().join("f");
    (folder, file)
}

fn write(file: &Path, text: &str) -> PathBuf {
    ConfigFile::read(file).unwrap().write(text).unwrap()
}

fn undo(file: &Path) -> Result<(), Error> {
    Undo::find(ConfigFile::read(file)?)?.apply()
}

fn names(folder: &Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn each_step_can_be_taken_back() {
    let (folder, file) = folder(&[("f", "0")]);
    assert_eq!(fs::read_to_string(write(&file, "1")).unwrap(), "0");
    assert_eq!(fs::read_to_string(write(&file, "2")).unwrap(), "1");
    undo(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "1");
    undo(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "0");
    assert!(matches!(undo(&file), Err(Error::NoBackup { .. })));
    assert_eq!(names(folder.path()), ["f"], "nothing is left behind");
}

#[test]
fn of_two_ways_back_the_newer_is_taken() {
    let (_folder, file) = folder(&[("f", "0")]);
    write(&file, "1");
    fs::write(&file, "mine").unwrap();
    write(&file, "1");
    undo(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
}

#[test]
fn a_file_that_was_not_there_goes_again() {
    let (folder, file) = folder(&[]);
    write(&file, "1");
    undo(&file).unwrap();
    assert_eq!(names(folder.path()), Vec::<String>::new());
    // An empty file is a file.
    fs::write(&file, "").unwrap();
    write(&file, "1");
    undo(&file).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "");
}

#[test]
fn what_was_written_since_is_not_lost() {
    let (_folder, file) = folder(&[("f", "0")]);
    let backup = write(&file, "1");
    fs::write(&file, "mine").unwrap();
    let error = undo(&file).unwrap_err();
    assert!(matches!(error, Error::Since { .. }) && error.to_string().contains(backup.to_str().unwrap()), "{error}");
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine");
    fs::remove_file(&file).unwrap();
    assert!(matches!(undo(&file), Err(Error::Since { .. })));
    assert!(!file.exists());
}

#[test]
fn who_writes_meanwhile_wins() {
    let (folder, file) = folder(&[("f", "0")]);
    let read = ConfigFile::read(&file).unwrap();
    fs::write(&file, "theirs").unwrap();
    assert!(matches!(read.write("ours"), Err(Error::Meanwhile { .. })));
    assert_eq!((fs::read_to_string(&file).unwrap().as_str(), names(folder.path()).len()), ("theirs", 1));
    write(&file, "1");
    let step = Undo::find(ConfigFile::read(&file).unwrap()).unwrap();
    fs::write(&file, "theirs").unwrap();
    assert!(matches!(step.apply(), Err(Error::Meanwhile { .. })));
    assert_eq!(fs::read_to_string(&file).unwrap(), "theirs");
    // One that appears is not overwritten either.
    let new = folder.path().join("g");
    let read = ConfigFile::read(&new).unwrap();
    fs::write(&new, "theirs").unwrap();
    assert!(matches!(read.write("ours"), Err(Error::Meanwhile { .. })));
}

#[test]
fn backups_are_bounded_and_the_oldest_goes_first() {
    let (folder, file) = folder(&[("f", "0"), ("f.toolgate-backup-x", "mine"), ("f.toolgate-backup-1-a-b", "mine")]);
    for step in 1..=MAX_BACKUPS + 3 {
        write(&file, &step.to_string());
    }
    assert_eq!(names(folder.path()).len(), 1 + MAX_BACKUPS + 2, "foreign files stay");
    for step in (3..MAX_BACKUPS + 3).rev() {
        undo(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), step.to_string());
    }
    assert!(undo(&file).is_err());
}

#[test]
fn what_cannot_be_edited_is_refused() {
    let (folder, file) = folder(&[]);
    fs::write(&file, b"\xff").unwrap();
    assert!(ConfigFile::read(&file).unwrap_err().to_string().ends_with("is not UTF-8"));
    fs::File::create(&file).unwrap().set_len(MAX_BYTES + 1).unwrap();
    assert!(ConfigFile::read(&file).unwrap_err().to_string().ends_with("is larger than 16 MiB"));
    assert!(ConfigFile::read(folder.path()).unwrap_err().to_string().ends_with("is no file"));
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn permissions_stay_and_backups_have_them() {
        for bits in [0o600, 0o640] {
            let (_folder, file) = folder(&[("f", "0")]);
            fs::set_permissions(&file, fs::Permissions::from_mode(bits)).unwrap();
            let backup = write(&file, "1");
            assert_eq!((mode(&file), mode(&backup)), (bits, bits));
            undo(&file).unwrap();
            assert_eq!(mode(&file), bits);
        }
    }

    #[test]
    fn a_link_stays_a_link() {
        let (folder, file) = folder(&[("real", "0")]);
        symlink("real", &file).unwrap();
        let backup = write(&file, "1");
        assert!(file.is_symlink());
        assert_eq!(fs::read_to_string(folder.path().join("real")).unwrap(), "1");
        assert!(backup.file_name().unwrap().to_str().unwrap().starts_with("real.toolgate-backup-1-"));
        undo(&file).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "0");
        fs::remove_file(folder.path().join("real")).unwrap();
        let error = ConfigFile::read(&file).unwrap_err().to_string();
        assert!(error.ends_with("is a symbolic link to nothing"), "{error}");
    }

    #[test]
    fn a_read_only_file_stays_as_it_is() {
        let (folder, file) = folder(&[("f", "0")]);
        fs::set_permissions(&file, fs::Permissions::from_mode(0o444)).unwrap();
        let error = ConfigFile::read(&file).unwrap().write("1").unwrap_err().to_string();
        assert!(error.ends_with("is read-only"), "{error}");
        assert_eq!(names(folder.path()), ["f"]);
    }
}
