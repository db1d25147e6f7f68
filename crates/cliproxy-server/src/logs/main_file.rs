//! The application log as a file that is set aside when it has grown.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use cliproxy_core::store::atomic::private;

use super::store::MAIN;

/// Size at which a file is set aside.
const LARGEST: u64 = 10 << 20;

/// The file that is written to.
#[derive(Debug)]
pub(super) struct MainFile {
    directory: PathBuf,
    largest: u64,
    open: Mutex<Open>,
}

#[derive(Debug)]
struct Open {
    file: File,
    length: u64,
}

impl Open {
    fn at(path: &Path) -> io::Result<Self> {
        let file = private(OpenOptions::new().create(true).append(true)).open(path)?;
        let length = file.metadata()?.len();
        Ok(Self { file, length })
    }
}

impl MainFile {
    pub(super) fn open(directory: &Path) -> io::Result<Self> {
        Self::with_size(directory, LARGEST)
    }

    fn with_size(directory: &Path, largest: u64) -> io::Result<Self> {
        let open = Mutex::new(Open::at(&directory.join(MAIN))?);
        Ok(Self { directory: directory.to_owned(), largest, open })
    }

    /// Appends whole lines.
    pub(super) fn append(&self, lines: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        let length = lines.len() as u64;
        if open.length > 0 && open.length + length > self.largest {
            fs::rename(self.directory.join(MAIN), self.free_name())?;
            *open = Open::at(&self.directory.join(MAIN))?;
        }
        open.file.write_all(lines)?;
        open.length += length;
        Ok(())
    }

    /// Forgets what is in it.
    pub(super) fn empty(&self) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        // Somebody may have taken the file away; a new one is made then.
        *open = Open::at(&self.directory.join(MAIN))?;
        open.file.set_len(0)?;
        open.length = 0;
        Ok(())
    }

    /// A name for what is set aside, by the time; several within a second are numbered.
    fn free_name(&self) -> PathBuf {
        let stamp = super::now().strftime("%Y-%m-%dT%H-%M-%S").to_string();
        let names = (0..1000).map(|number| self.directory.join(format!("main-{stamp}.{number:03}.log")));
        let mut free = names.filter(|path| !path.exists());
        free.next().unwrap_or_else(|| self.directory.join(format!("main-{stamp}.999.log")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::store::rotations;
    use super::*;

    #[test]
    fn a_file_that_has_grown_is_set_aside_and_no_line_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        let file = MainFile::with_size(directory.path(), 100).unwrap();
        let lines: Vec<String> = (0..20).map(|number| format!("line number {number:04}\n")).collect();
        for line in &lines {
            file.append(line.as_bytes()).unwrap();
        }
        let mut text = String::new();
        let aside = rotations(directory.path()).unwrap();
        assert!(aside.len() >= 3, "{aside:?}");
        for path in aside.iter().chain(&[directory.path().join(MAIN)]) {
            let content = fs::read_to_string(path).unwrap();
            assert!(content.len() <= 100);
            text.push_str(&content);
        }
        assert_eq!(text, lines.concat());
        file.empty().unwrap();
        file.append(b"new\n").unwrap();
        assert_eq!(fs::read_to_string(directory.path().join(MAIN)).unwrap(), "new\n");
    }

    #[test]
    fn a_later_process_goes_on_where_an_earlier_one_ended() {
        let directory = tempfile::tempdir().unwrap();
        for word in ["one\n", "two\n"] {
            MainFile::open(directory.path()).unwrap().append(word.as_bytes()).unwrap();
        }
        assert_eq!(fs::read_to_string(directory.path().join(MAIN)).unwrap(), "one\ntwo\n");
    }
}
