//! Files that whoever comes first makes, and that then stay as they are: keys, and what a journal is called.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use tempfile::NamedTempFile;

/// What the file says. Where there is none it is made, for its owner's eyes only, and says what `make` gives; or what somebody else made it say
/// in that moment.
///
/// INVARIANT: it is there whole or not at all, whenever this process or the machine ends: a key that is cut off would stop every start from then on.
pub fn read_or_make(path: &Path, make: impl FnOnce() -> io::Result<Vec<u8>>) -> io::Result<Vec<u8>> {
    match std::fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        said => return said,
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = NamedTempFile::with_prefix_in(".toolgate-", folder)?;
    file.write_all(&make()?)?;
    file.as_file().sync_all()?;
    match file.persist_noclobber(path) {
        Ok(_) => File::open(folder)?.sync_all()?,
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.error),
    }
    std::fs::read(path).map_err(|error| match error.kind() == io::ErrorKind::NotFound {
        true => io::Error::new(error.kind(), "it is a symbolic link to what is not there"),
        false => error,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Barrier;

    use super::*;

    #[test]
    fn who_comes_at_once_agrees_and_the_file_is_never_seen_in_part() {
        const MANY: u8 = 16;
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let (path, begin) = (folder.path().join("key"), Barrier::new(MANY.into()));
            let said: Vec<Vec<u8>> = std::thread::scope(|scope| {
                let one = |n| {
                    scope.spawn({
                        let (path, begin) = (&path, &begin);
                        move || {
                            begin.wait();
                            read_or_make(path, || Ok(vec![n; 32])).unwrap()
                        }
                    })
                };
                let all: Vec<_> = (0..MANY).map(one).collect();
                all.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert!(said.iter().all(|bytes| *bytes == said[0] && bytes.len() == 32), "{said:?}");
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left over");
        }
    }

    #[test]
    fn what_cannot_be_made_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key");
        assert!(read_or_make(&path, || Err(io::Error::other("no randomness"))).is_err());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert_eq!(read_or_make(&path, || Ok(b"1".to_vec())).unwrap(), b"1");
        assert_eq!(read_or_make(&path, || unreachable!("it is there")).unwrap(), b"1");
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(folder.path().join("away"), &link).unwrap();
        let error = read_or_make(&link, || Ok(b"1".to_vec())).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
        assert!(!folder.path().join("away").exists(), "another volume that is not there is not made up for");
    }
}
