//! The files of a checkout as paths and texts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use thiserror::Error;

/// Hidden folders that belong to the repository.
const HIDDEN: &[&str] = &[".cargo", ".ci"];

/// Paths relative to the root, with `/` between parts, and what the files say.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    texts: BTreeMap<String, String>,
    binaries: BTreeSet<String>,
}

/// A checkout that cannot be read.
#[derive(Debug, Error)]
#[error("{} cannot be read: {source}", path.display())]
pub struct TreeError {
    path: PathBuf,
    source: io::Error,
}

/// What fuzzing leaves; a repository ignores it.
const MADE: &[&str] = &["fuzz/artifacts", "fuzz/corpus", "fuzz/coverage", "fuzz/Cargo.lock"];

/// In a second working tree of a repository this is a file, which says where the repository is.
const GIT: &str = ".git";

impl Tree {
    /// Reads the checkout at `root`, without `target` and hidden folders.
    ///
    /// # Errors
    /// [`TreeError`] names the file or folder that cannot be read.
    pub fn read(root: &Path) -> Result<Self, TreeError> {
        let mut tree = Self::default();
        tree.read_folder(root, "")?;
        Ok(tree)
    }

    fn read_folder(&mut self, root: &Path, folder: &str) -> Result<(), TreeError> {
        let at = |path: PathBuf| move |source| TreeError { path, source };
        let folder_path = root.join(folder);
        for entry in fs::read_dir(&folder_path).map_err(at(folder_path.clone()))? {
            let entry = entry.map_err(at(folder_path.clone()))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
            let kind = entry.file_type().map_err(at(entry.path()))?;
            if kind.is_dir() {
                let ours = !name.starts_with('.') || HIDDEN.contains(&name.as_str());
                if ours && name != "target" && !MADE.contains(&path.as_str()) {
                    self.read_folder(root, &path)?;
                }
            } else if kind.is_file() && path != GIT && !MADE.contains(&path.as_str()) {
                self.add(path, fs::read(entry.path()).map_err(at(entry.path()))?);
            }
        }
        Ok(())
    }

    fn add(&mut self, path: String, bytes: Vec<u8>) {
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => {
                self.texts.insert(path, text);
            }
            Ok(_) | Err(_) => {
                self.binaries.insert(path);
            }
        }
    }

    /// The same tree with one more file: how tests plant violations.
    #[must_use]
    pub fn with(mut self, path: &str, text: &str) -> Self {
        self.texts.insert(path.to_owned(), text.to_owned());
        self
    }

    /// Every text file, in path order.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts.iter().map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// Every Rust file, in path order.
    pub fn rust(&self) -> impl Iterator<Item = (&str, &str)> {
        self.texts().filter(|(path, _)| path.ends_with(".rs"))
    }

    /// Every file that people write code in, in path order: programs, schemas, scripts, manifests.
    pub fn code(&self) -> impl Iterator<Item = (&str, &str)> {
        const ENDS: [&str; 6] = [".rs", ".proto", ".py", ".sh", ".toml", ".ci/run"];
        self.texts().filter(|(path, _)| ENDS.iter().any(|end| path.ends_with(end)))
    }

    /// The text of one file.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<&str> {
        self.texts.get(path).map(String::as_str)
    }

    /// Whether `path` is a file or a folder with files.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        let mut paths = self.texts.keys().chain(&self.binaries);
        path.is_empty() || paths.any(|file| file == path || file.starts_with(&folder))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_checkout_is_read_without_what_it_builds() {
        let tree = Tree::read(&crate::root()).expect("the checkout is readable");
        assert!(tree.text("Cargo.toml").is_some());
        assert!(tree.text(".cargo/config.toml").is_some());
        assert!(tree.has("xtask/src/tidy"));
        assert!(tree.has("data/mnist/train-images-idx3-ubyte.gz"), "binary files count too");
        assert!(!tree.has("target") && !tree.has(".git"));
    }

    #[test]
    fn a_missing_root_is_named() {
        let error = Tree::read(Path::new("no/such/checkout")).expect_err("there is nothing to read");
        assert!(error.to_string().contains("no/such/checkout"), "{error}");
    }
}
