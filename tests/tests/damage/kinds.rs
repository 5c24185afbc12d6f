//! What can happen to a file.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use syngrad_engine::random::{Purpose, Stream};

/// The page of the database.
const PAGE: u64 = 4096;
/// Flips in each page.
const FLIPS: usize = 2;

/// A way to damage one file of a folder.
pub(crate) struct Kind {
    pub(crate) name: String,
    pub(crate) damage: Box<dyn FnOnce(&Path)>,
}

fn kind(name: impl Into<String>, damage: impl FnOnce(&Path) + 'static) -> Kind {
    Kind { name: name.into(), damage: Box::new(damage) }
}

/// Every way to damage `file` of `folder`, which holds `files`; `other` is another coordinator's folder.
pub(crate) fn kinds(folder: &Path, file: &Path, files: &[PathBuf], other: &Path) -> Vec<Kind> {
    let is_folder = folder.join(file).is_dir();
    let at = file.to_owned();
    let mut kinds = vec![
        {
            let at = at.clone();
            kind("deleted", move |folder| remove(&folder.join(at)))
        },
        {
            let at = at.clone();
            kind("unreadable", move |folder| {
                let nobody = fs::Permissions::from_mode(0o000);
                fs::set_permissions(folder.join(at), nobody).expect("permissions can be set");
            })
        },
    ];
    if is_folder {
        kinds.push(kind("replaced by a file", move |folder| {
            remove(&folder.join(&at));
            fs::write(folder.join(at), b"a file").expect("the file can be written");
        }));
        return kinds;
    }
    let replaced = at.clone();
    kinds.push(kind("replaced by a folder", move |folder| {
        remove(&folder.join(&replaced));
        fs::create_dir(folder.join(replaced)).expect("a folder can be made");
    }));
    kinds.extend(swaps(folder, file, files, other));
    let length = fs::metadata(folder.join(file)).expect("the file is there").len();
    for kept in [0, length / 2, length.saturating_sub(1)] {
        let at = at.clone();
        kinds.push(kind(format!("cut to {kept} bytes"), move |folder| {
            let file = OpenOptions::new().write(true).open(folder.join(at)).expect("the file opens");
            file.set_len(kept).expect("the file can be cut");
        }));
    }
    kinds.extend(offsets(length).into_iter().map(|(offset, bit)| {
        let at = at.clone();
        kind(format!("bit {bit} of byte {offset} flipped"), move |folder| flip(&folder.join(at), offset, bit))
    }));
    kinds
}

/// The file swapped for another of the folder, and for the other coordinator's.
fn swaps(folder: &Path, file: &Path, files: &[PathBuf], other: &Path) -> Vec<Kind> {
    let sibling = files.iter().find(|sibling| *sibling != file && folder.join(sibling).is_file());
    let ours = sibling.map(|sibling| ("another file of the folder", folder.join(sibling)));
    let foreign = match other.join(file).is_file() {
        true => Some(other.join(file)),
        false => super::contents(other).into_iter().map(|blob| other.join(blob)).rfind(|blob| {
            file.starts_with("blobs") && blob.is_file() && blob.parent().is_some_and(|parent| parent != other)
        }),
    };
    let swaps = ours.into_iter().chain(foreign.map(|foreign| ("a file of another coordinator", foreign)));
    let swap = |(name, with): (&str, PathBuf)| {
        let at = file.to_owned();
        kind(format!("replaced by {name}"), move |folder| {
            fs::copy(with, folder.join(at)).expect("the file can be copied");
        })
    };
    swaps.map(swap).collect()
}

/// Bits to flip: at the beginning, in the middle, at the end, and some of each page.
fn offsets(length: u64) -> Vec<(u64, u8)> {
    if length == 0 {
        return Vec::new();
    }
    let mut stream = Stream::new(1, Purpose::Simulation, &[length]);
    let pages = (0..length.div_ceil(PAGE)).flat_map(|page| [page * PAGE; FLIPS]);
    let drawn = pages.map(|page| ((page + stream.below(PAGE)).min(length - 1), stream.below(8) as u8));
    let drawn: Vec<(u64, u8)> = drawn.collect();
    [(0, 0), (length / 2, 3), (length - 1, 7)].into_iter().chain(drawn).collect()
}

fn flip(path: &Path, offset: u64, bit: u8) {
    let file: File = OpenOptions::new().read(true).write(true).open(path).expect("the file opens");
    let mut byte = [0];
    file.read_exact_at(&mut byte, offset).expect("the byte is there");
    file.write_all_at(&[byte[0] ^ (1 << bit)], offset).expect("the byte can be written");
}

fn remove(path: &Path) {
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    removed.expect("it can be removed");
}
