//! Files of keys and certificates: whole or not there, and secrets for this user's eyes only.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::certificate::hex;
use super::{IdentityError, random};

/// The largest file that is read, in bytes.
pub const MAX_FILE: u64 = 1 << 20;
/// Permissions of a file with a secret: its user's.
const SECRET: u32 = 0o600;
/// Permissions of a file that everybody may read.
const PUBLIC: u32 = 0o644;
/// Permissions of a new folder: its user's.
const FOLDER: u32 = 0o700;
/// Permissions that a file with a secret must not give.
const OTHERS: u32 = 0o077;

/// Writes a secret, so that at any moment the file has the old content or the new, and never is readable by others.
///
/// # Errors
/// [`IdentityError::File`] that names the file.
pub fn write_secret(path: &Path, content: &[u8]) -> Result<(), IdentityError> {
    replace(path, content, SECRET)
}

/// Writes what everybody may read, so that at any moment the file has the old content or the new.
///
/// # Errors
/// [`IdentityError::File`] that names the file.
pub fn write(path: &Path, content: &[u8]) -> Result<(), IdentityError> {
    replace(path, content, PUBLIC)
}

fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), IdentityError> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let temporary = folder.join(format!(".{name}.{}", hex(&random::<8>()?)));
    let written = make_folder(folder).and_then(|()| write_new(&temporary, content, mode)).and_then(|()| {
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    });
    written.map_err(|source| {
        // It may not be there; what failed first is what counts.
        let _ = fs::remove_file(&temporary);
        IdentityError::File { path: path.to_owned(), source }
    })
}

/// Makes a folder, where it is missing, that only this user may enter.
///
/// # Errors
/// Those of the system.
pub fn make_folder(folder: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(FOLDER).create(folder)
}

fn write_new(path: &PathBuf, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

/// Reads a file that is no secret.
///
/// # Errors
/// [`IdentityError::File`] that names the file, [`IdentityError::Content`] if it is larger than [`MAX_FILE`].
pub fn read(path: &Path) -> Result<Vec<u8>, IdentityError> {
    let mut content = Vec::new();
    let file = File::open(path).map_err(|source| IdentityError::File { path: path.to_owned(), source })?;
    bounded(&file, path, &mut content)?;
    Ok(content)
}

/// Reads a secret as text.
///
/// # Errors
/// [`IdentityError::Exposed`] if others may read it too, else as [`read`].
pub fn read_secret(path: &Path) -> Result<Zeroizing<String>, IdentityError> {
    let broken = |source| IdentityError::File { path: path.to_owned(), source };
    let file = File::open(path).map_err(broken)?;
    let mode = file.metadata().map_err(broken)?.permissions().mode();
    if mode & OTHERS != 0 {
        return Err(IdentityError::Exposed { path: path.to_owned(), mode: mode & 0o777 });
    }
    // Taken once and in full, so that no smaller copy of the secret is left behind in freed memory.
    let size = file.metadata().map_err(broken)?.len().min(MAX_FILE);
    let mut content = Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default() + 1));
    bounded(&file, path, &mut content)?;
    let text = std::str::from_utf8(&content).map(|text| Zeroizing::new(text.to_owned()));
    text.map_err(|_| IdentityError::Content { path: path.to_owned(), why: "it is no text".to_owned() })
}

fn bounded(file: &File, path: &Path, content: &mut Vec<u8>) -> Result<(), IdentityError> {
    let read = file.take(MAX_FILE + 1).read_to_end(content);
    let read = read.map_err(|source| IdentityError::File { path: path.to_owned(), source })?;
    match read as u64 > MAX_FILE {
        true => Err(IdentityError::Content { path: path.to_owned(), why: format!("it is over {MAX_FILE} bytes") }),
        false => Ok(()),
    }
}
