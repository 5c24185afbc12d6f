//! The folder in which a worker keeps what it must not forget, and in which it can be spoken to.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, TryLockError};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use syngrad_common::{Code, Failure};

/// Workers of one name on one machine.
const MOST: usize = 64;
/// The longest path of a socket, in bytes, on any system that this runs on.
const MAX_SOCKET: usize = 103;
/// The socket in a folder.
const SOCKET: &str = "control.sock";

/// Where a worker keeps its state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum StatePlace {
    /// Nowhere: there is no journal, no account and no socket.
    #[default]
    Nowhere,
    /// In this folder.
    Folder(PathBuf),
    /// In a folder of its own: the first free one of `name`, `name.2`, `name.3` and so on.
    Own {
        /// The folder of such folders.
        root: PathBuf,
        /// The worker's name.
        name: String,
    },
}

/// A folder that belongs to this process.
#[derive(Debug)]
pub(crate) struct StateFolder {
    path: PathBuf,
    /// Held as long as the folder is.
    _lock: File,
}

enum Opened {
    Ours(StateFolder),
    Taken,
}

/// Says what could not be done with a file, and in the system's words why.
pub(crate) fn unusable(doing: &str, path: &Path, why: &std::io::Error) -> Failure {
    Failure::new(Code::WorkerStateUnusable, format!("{doing} {} failed: {why}", path.display()))
}

impl StateFolder {
    pub(crate) fn open(place: &StatePlace) -> Result<Option<Self>, Failure> {
        match place {
            StatePlace::Nowhere => Ok(None),
            StatePlace::Folder(path) => match Self::try_open(path)? {
                Opened::Ours(folder) => Ok(Some(folder)),
                Opened::Taken => Err(in_use(&path.display().to_string())),
            },
            StatePlace::Own { root, name } => {
                for number in 1..=MOST {
                    let name = if number == 1 { name.clone() } else { format!("{name}.{number}") };
                    match Self::try_open(&root.join(name))? {
                        Opened::Ours(folder) => return Ok(Some(folder)),
                        Opened::Taken => {}
                    }
                }
                Err(in_use(&format!("{} and the {MOST} beside it", root.join(name).display())))
            }
        }
    }

    fn try_open(path: &Path) -> Result<Opened, Failure> {
        let (socket, len) = (socket_of(path), socket_of(path).as_os_str().len());
        if len > MAX_SOCKET {
            let socket = socket.display();
            let why =
                format!("{socket} has {len} bytes, and a socket's path may have {MAX_SOCKET}: name a shorter folder");
            return Err(Failure::new(Code::WorkerStateUnusable, why));
        }
        let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
        made.map_err(|why| unusable("making", path, &why))?;
        let file = path.join("lock");
        let lock = File::options().create(true).truncate(false).read(true).write(true).open(&file);
        let lock = lock.map_err(|why| unusable("opening", &file, &why))?;
        match lock.try_lock() {
            Ok(()) => Ok(Opened::Ours(Self { path: path.to_owned(), _lock: lock })),
            Err(TryLockError::WouldBlock) => Ok(Opened::Taken),
            Err(TryLockError::Error(why)) => Err(unusable("locking", &file, &why)),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn socket(&self) -> PathBuf {
        socket_of(&self.path)
    }
}

fn in_use(what: &str) -> Failure {
    Failure::new(Code::WorkerStateInUse, format!("another worker has the state folder {what}"))
}

/// The control socket of the worker whose state is in `folder`.
pub(crate) fn socket_of(folder: &Path) -> PathBuf {
    folder.join(SOCKET)
}

/// The folder of workers' folders that the system gives this user: `$XDG_STATE_HOME/syngrad/worker`, or
/// `~/.local/state/syngrad/worker`. None if the environment names neither.
#[must_use]
pub fn default_state_root() -> Option<PathBuf> {
    let (own, home) = (std::env::var_os("XDG_STATE_HOME"), std::env::var_os("HOME"));
    folder_of(own, home, ".local/state").map(|folder| folder.join("syngrad/worker"))
}

/// Where this user's policy is, if there is one: `$XDG_CONFIG_HOME/syngrad/policy.toml`, or
/// `~/.config/syngrad/policy.toml`. None if the environment names neither.
#[must_use]
pub fn default_policy_file() -> Option<PathBuf> {
    let (own, home) = (std::env::var_os("XDG_CONFIG_HOME"), std::env::var_os("HOME"));
    folder_of(own, home, ".config").map(|folder| folder.join("syngrad/policy.toml"))
}

/// A relative path is as good as none: it would be another one wherever the program is started.
fn folder_of(own: Option<OsString>, home: Option<OsString>, below: &str) -> Option<PathBuf> {
    let absolute = |path: Option<OsString>| path.map(PathBuf::from).filter(|path| path.is_absolute());
    absolute(own).or_else(|| absolute(home).map(|home| home.join(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_where_the_system_wants_them() {
        let found = |own: &str, home: &str| {
            let variable = |text: &str| (!text.is_empty()).then(|| OsString::from(text));
            folder_of(variable(own), variable(home), ".config").map(|path| path.display().to_string())
        };
        assert_eq!(found("/own", "/users/me").as_deref(), Some("/own"));
        assert_eq!(found("own", "/users/me").as_deref(), Some("/users/me/.config"));
        assert_eq!(found("", ""), None);
    }

    #[test]
    fn two_workers_of_one_name_have_two_folders_and_a_named_one_is_had_once() {
        let root = tempfile::tempdir().expect("a folder");
        let place = StatePlace::Own { root: root.path().to_owned(), name: "clinic".into() };
        let first = StateFolder::open(&place).expect("free").expect("some");
        let second = StateFolder::open(&place).expect("free").expect("some");
        assert_eq!(first.path(), root.path().join("clinic"));
        assert_eq!(second.path(), root.path().join("clinic.2"));
        let named = StatePlace::Folder(first.path().to_owned());
        assert_eq!(StateFolder::open(&named).expect_err("taken").code, Code::WorkerStateInUse);
        drop(first);
        assert!(StateFolder::open(&named).expect("free again").is_some());
    }
}
