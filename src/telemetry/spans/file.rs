//! Spans in files, as the OpenTelemetry Collector's file exporter writes them: one JSON object per
//! line, each an export request of OTLP. `tessera trace` reads both.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

/// The file in the directory.
pub const FILE_NAME: &str = "spans.jsonl";

/// Where a full file goes, over the one before it.
const OLDER_NAME: &str = "spans.1.jsonl";

/// Bytes of one file; twice as much is kept.
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The files of one directory.
#[derive(Debug)]
pub struct TraceFiles {
    directory: PathBuf,
    file: File,
    bytes: u64,
}

impl TraceFiles {
    /// Goes on with the file in `directory`, which is made where it is not there.
    pub(in crate::telemetry) fn open(directory: &Path) -> io::Result<Self> {
        fs::create_dir_all(directory)?;
        let file = append(directory)?;
        let bytes = file.metadata()?.len();
        Ok(Self { directory: directory.to_owned(), file, bytes })
    }

    /// Writes a line, whose end is part of it.
    pub(super) fn write(&mut self, line: &[u8]) -> io::Result<()> {
        let len = line.len() as u64;
        if self.bytes > 0 && self.bytes + len > FILE_BYTES_MAX {
            fs::rename(self.directory.join(FILE_NAME), self.directory.join(OLDER_NAME))?;
            self.file = append(&self.directory)?;
            self.bytes = 0;
        }
        self.file.write_all(line)?;
        self.bytes += len;
        Ok(())
    }
}

fn append(directory: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(directory.join(FILE_NAME))
}
