//! The files of an archive: those that its manifest names, as it names them, and no others.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use syngrad_common::archive::{File, MANIFEST, Manifest, SIGNATURE, is_path};
use syngrad_engine::receipt::{Check, Checks, Fault, Finding, Signature};

use super::{about_all, unreadable};
use crate::failure::Failure;

/// See the module.
#[derive(Debug)]
pub(super) struct Files {
    folder: PathBuf,
    manifest: Manifest,
    bytes: Vec<u8>,
    named: BTreeMap<String, File>,
    findings: Vec<Finding>,
}

impl Files {
    /// Opens an archive and holds its files against its manifest.
    pub(super) fn open(folder: &Path, checks: &Checks) -> Result<Self, Failure> {
        let path = folder.join(MANIFEST);
        let bytes =
            std::fs::read(&path).map_err(|why| Failure::named_file(&format!("reading {}", path.display()), &why))?;
        let manifest = Manifest::decode(&bytes).map_err(syngrad_common::Failure::from)?;
        let named = manifest.files.iter().map(|file| (file.path.clone(), file.clone())).collect();
        let mut files = Self { folder: folder.to_owned(), manifest, bytes, named, findings: Vec::new() };
        if checks.has(Check::Files) {
            files.check()?;
        }
        Ok(files)
    }

    pub(super) fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    pub(super) fn manifest_bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn signature(&self) -> Option<Signature> {
        let bytes = std::fs::read(self.folder.join(SIGNATURE)).ok()?;
        Signature::try_from(bytes.as_slice()).ok()
    }

    /// The contents of a file that the manifest names.
    pub(super) fn bytes(&mut self, path: &str) -> Option<Vec<u8>> {
        let is_named = self.named.contains_key(path) && is_path(path);
        let read = is_named.then(|| std::fs::read(self.folder.join(path)).ok()).flatten();
        if read.is_none() {
            self.find(path, "it is missing");
        }
        read
    }

    /// The contents of a file that need not be there.
    pub(super) fn optional(&self, path: &str) -> Option<Vec<u8>> {
        let is_named = self.named.contains_key(path) && is_path(path);
        is_named.then(|| std::fs::read(self.folder.join(path)).ok()).flatten()
    }

    pub(super) fn text(&mut self, path: &str) -> Result<String, Failure> {
        let bytes = self.bytes(path).ok_or_else(|| unreadable(&format!("{path} is missing")))?;
        String::from_utf8(bytes).map_err(|_| unreadable(&format!("{path} is no text")))
    }

    pub(super) fn find(&mut self, path: &str, why: &str) {
        self.findings.push(about_all(Fault::File, format!("{path}: {why}")));
    }

    pub(super) fn into_findings(self) -> Vec<Finding> {
        self.findings
    }

    fn check(&mut self) -> Result<(), Failure> {
        let named: Vec<File> = self.manifest.files.clone();
        if !named.is_sorted_by(|left, right| left.path < right.path) {
            self.find(MANIFEST, "its files are not in order, or one is there twice");
        }
        for file in named {
            match self.optional(&file.path) {
                None => self.find(&file.path, "it is missing"),
                Some(contents) if File::of(file.path.clone(), &contents) != file => {
                    self.find(&file.path, "its bytes are not those of the manifest");
                }
                Some(_) => {}
            }
        }
        let failed = |why: &std::io::Error| Failure::io("reading the archive's folder", why);
        let mut there = Vec::new();
        walk(&self.folder, &self.folder, &mut there).map_err(|why| failed(&why))?;
        for path in there {
            let known = path == MANIFEST || path == SIGNATURE || self.named.contains_key(&path);
            if !known {
                self.find(&path, "the manifest does not name it");
            }
        }
        Ok(())
    }
}

/// Paths of all files in `folder`, from `root`.
fn walk(root: &Path, folder: &Path, found: &mut Vec<String>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => walk(root, &entry.path(), found)?,
            false => {
                let path = entry.path();
                let path = path.strip_prefix(root).unwrap_or(&path);
                found.push(path.to_string_lossy().replace('\\', "/"));
            }
        }
    }
    Ok(())
}
