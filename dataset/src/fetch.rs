//! Downloads MNIST: from the first mirror that has it, going on where a cut left off, and only the original counts.
//!
//! A file grows as `NAME.gz.part` and gets its name, atomically, once its contents have proved to be the original's:
//! whatever has the name is whole. A lock keeps two processes from filling the same folder.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use ureq::Agent;
use ureq::http::{Response, header};

use super::idx;
use super::mnist::{DataError, MnistFile};

/// Where the files can be had, best first; a file is at the mirror's address followed by its name and `.gz`.
pub const MIRRORS: [&str; 3] = [
    "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "https://ossci-datasets.s3.amazonaws.com/mnist/",
    "https://raw.githubusercontent.com/fgnt/mnist/master/",
];

/// How often one mirror is asked for one file, as long as every answer brings it further.
const ATTEMPTS: usize = 8;
const CONNECT: Duration = Duration::from_secs(15);
const SILENCE: Duration = Duration::from_secs(30);
const CHUNK: usize = 1 << 16;

/// What a download is doing.
#[derive(Debug)]
pub enum Progress<'a> {
    /// The file is there already, and the original.
    Present,
    /// A mirror sends the file, from byte `from` on.
    Began {
        /// The file's address.
        url: &'a str,
        /// Bytes that an earlier attempt left.
        from: u64,
        /// Bytes in all, if the mirror says.
        total: Option<u64>,
    },
    /// So many compressed bytes are here.
    Received(u64),
    /// The mirror failed; the next attempt follows.
    Failed {
        /// The file's address.
        url: &'a str,
        /// What went wrong.
        cause: &'a AttemptError,
    },
    /// The file is there now.
    Done(&'a Path),
}

/// Why one mirror did not give one file.
#[derive(Debug, Error)]
pub enum AttemptError {
    /// It could not be asked, or did not answer.
    #[error("{0}")]
    Request(#[from] Box<ureq::Error>),
    /// It answered with another status than success.
    #[error("the answer has status {0}")]
    Status(u16),
    /// It answered with another part of the file than was asked for.
    #[error("the answer is another part of the file than was asked for")]
    Range,
    /// It sent more than the file can have.
    #[error("the answer is larger than the {0} bytes that the file can have")]
    TooLarge(u64),
    /// The connection was cut.
    #[error("the connection was cut: {0}")]
    Cut(io::Error),
    /// What it sent is not the file.
    #[error("{0}")]
    Contents(#[from] DataError),
}

/// Why MNIST was not downloaded.
#[derive(Debug, Error)]
pub enum FetchError {
    /// The folder cannot be written.
    #[error("{} cannot be written: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// No mirror gave the file.
    #[error(
        "no mirror gave {name}: {}; check the network, or put the file in {} by hand",
        causes.iter().map(|(url, cause)| format!("{url}: {cause}")).collect::<Vec<_>>().join("; "),
        dir.display()
    )]
    Mirrors {
        /// The file.
        name: &'static str,
        /// The folder it should go to.
        dir: PathBuf,
        /// Addresses, and the last thing that went wrong with each.
        causes: Vec<(String, AttemptError)>,
    },
}

/// Downloads the files that are missing from `dir`, creating it if need be. Waits for another process that does so.
///
/// # Errors
/// [`FetchError`] of the first file that could not be had; what was downloaded until then stays.
pub fn fetch(
    dir: &Path,
    files: &[MnistFile],
    mirrors: &[&str],
    on_progress: &mut dyn FnMut(MnistFile, Progress<'_>),
) -> Result<(), FetchError> {
    fs::create_dir_all(dir).map_err(|source| FetchError::Io { path: dir.to_owned(), source })?;
    let lock_path = dir.join(".lock");
    let lock = File::create(&lock_path).and_then(|file| file.lock().map(|()| file));
    // Held until it is dropped at the end, and by nobody once this process is gone.
    let _lock = lock.map_err(|source| FetchError::Io { path: lock_path, source })?;
    let agent = agent();
    for &file in files {
        let present = file.locate(dir).and_then(|path| file.read(&path)).is_ok();
        match present {
            true => on_progress(file, Progress::Present),
            false => Download { agent: &agent, file, dir }.ask_all(mirrors, &mut |event| on_progress(file, event))?,
        }
    }
    Ok(())
}

fn agent() -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(4)
        // A body that is decoded on the way could not be resumed by its byte count.
        .accept_encoding("identity")
        .timeout_connect(Some(CONNECT))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .build()
        .into()
}

struct Download<'a> {
    agent: &'a Agent,
    file: MnistFile,
    dir: &'a Path,
}

/// How one attempt ended, if not well.
enum Stop {
    Mirror(AttemptError),
    Disk(io::Error),
}

impl From<AttemptError> for Stop {
    fn from(error: AttemptError) -> Self {
        Self::Mirror(error)
    }
}

impl Download<'_> {
    fn ask_all(&self, mirrors: &[&str], on: &mut dyn FnMut(Progress<'_>)) -> Result<(), FetchError> {
        let mut causes = Vec::new();
        for mirror in mirrors {
            let url = format!("{mirror}{}.gz", self.file.name());
            match self.ask_one(&url, on) {
                Ok(()) => return Ok(()),
                Err(Stop::Mirror(cause)) => causes.push((url, cause)),
                Err(Stop::Disk(source)) => return Err(FetchError::Io { path: self.part(), source }),
            }
        }
        Err(FetchError::Mirrors { name: self.file.name(), dir: self.dir.to_owned(), causes })
    }

    /// Asks the mirror again as long as it brings the file further.
    fn ask_one(&self, url: &str, on: &mut dyn FnMut(Progress<'_>)) -> Result<(), Stop> {
        let mut attempt = 1;
        loop {
            let before = self.received();
            let cause = match self.attempt(url, on) {
                Ok(()) => return Ok(()),
                Err(Stop::Disk(source)) => return Err(Stop::Disk(source)),
                Err(Stop::Mirror(cause)) => cause,
            };
            on(Progress::Failed { url, cause: &cause });
            let worth_another = match cause {
                AttemptError::Cut(_) | AttemptError::Request(_) => self.received() > before,
                // What an earlier attempt left may have been the wrong half; the file begins anew.
                AttemptError::Contents(_) | AttemptError::Range => before > 0,
                AttemptError::Status(_) | AttemptError::TooLarge(_) => false,
            };
            if attempt == ATTEMPTS || !worth_another {
                return Err(cause.into());
            }
            attempt += 1;
        }
    }

    fn attempt(&self, url: &str, on: &mut dyn FnMut(Progress<'_>)) -> Result<(), Stop> {
        let from = self.received();
        let mut request = self.agent.get(url);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        let response = request.call().map_err(|error| AttemptError::Request(Box::new(error)))?;
        let from = match response.status().as_u16() {
            200 => 0,
            206 if range_start(&response) == Some(from) => from,
            // 416: the part is no shorter than the file, and was still not the original.
            206 | 416 => return Err(self.discard(AttemptError::Range)),
            status => return Err(AttemptError::Status(status).into()),
        };
        let total = response.body().content_length().map(|length| from + length);
        on(Progress::Began { url, from, total });
        self.receive(from, response.into_body().into_reader(), on)?;
        match self.file.read(&self.part()) {
            Ok(_) => self.publish(on),
            Err(error) => Err(self.discard(error.into())),
        }
    }

    fn receive(&self, from: u64, mut body: impl Read, on: &mut dyn FnMut(Progress<'_>)) -> Result<(), Stop> {
        // A compressed file that is larger than its payload by more than this is none of gzip's making.
        let most = idx::len(self.file.shape()) as u64 + 4096;
        let open = OpenOptions::new().create(true).append(true).open(self.part());
        let mut part = open.map_err(Stop::Disk)?;
        part.set_len(from).map_err(Stop::Disk)?;
        let mut received = from;
        let mut chunk = vec![0; CHUNK];
        loop {
            let read = body.read(&mut chunk).map_err(AttemptError::Cut)?;
            if read == 0 {
                return part.sync_all().map_err(Stop::Disk);
            }
            received += read as u64;
            if received > most {
                return Err(self.discard(AttemptError::TooLarge(most)));
            }
            part.write_all(&chunk[..read]).map_err(Stop::Disk)?;
            on(Progress::Received(received));
        }
    }

    fn publish(&self, on: &mut dyn FnMut(Progress<'_>)) -> Result<(), Stop> {
        let path = self.dir.join(format!("{}.gz", self.file.name()));
        fs::rename(self.part(), &path).map_err(Stop::Disk)?;
        on(Progress::Done(&path));
        Ok(())
    }

    /// Forgets what was received.
    fn discard(&self, cause: AttemptError) -> Stop {
        match fs::remove_file(self.part()) {
            Ok(()) => Stop::Mirror(cause),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Stop::Mirror(cause),
            Err(error) => Stop::Disk(error),
        }
    }

    fn part(&self) -> PathBuf {
        self.dir.join(format!("{}.gz.part", self.file.name()))
    }

    fn received(&self) -> u64 {
        fs::metadata(self.part()).map_or(0, |metadata| metadata.len())
    }
}

/// The first byte of the part that an answer with status 206 has.
fn range_start<T>(response: &Response<T>) -> Option<u64> {
    let range = response.headers().get(header::CONTENT_RANGE)?.to_str().ok()?;
    range.strip_prefix("bytes ")?.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests;
