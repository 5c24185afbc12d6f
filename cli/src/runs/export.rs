//! `run export`: the archive of a run, into a folder.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::Serialize;
use syngrad_common::archive::{MANIFEST, is_path};
use syngrad_common::error::Code;

use super::named;
use crate::args::ExportArgs;
use crate::client::{Piece, Receipts, Target};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::output::{Output, Report};
use crate::table::{facts, thousands};

/// What was written.
#[derive(Serialize)]
struct Exported {
    archive: String,
    files: u64,
    bytes: u64,
}

pub(super) async fn export(args: &ExportArgs, output: Output) -> Result<Exit, Failure> {
    let mut shipment = Receipts::connect(&Target::named(&args.coordinator)?).await?;
    let mut shipment = shipment.export(named(&args.run)?).await?;
    let mut folder = Folder::begin(&args.out)?;
    while let Some(piece) = shipment.next().await? {
        folder.take(piece)?;
    }
    let exported = folder.end()?;
    output.result(&exported);
    Ok(Exit::Ok)
}

/// The archive's folder, and the file that is being written.
struct Folder {
    path: PathBuf,
    open: Option<(File, PathBuf, u64)>,
    has_manifest: bool,
    files: u64,
    bytes: u64,
}

impl Folder {
    /// A folder that is new or empty.
    fn begin(path: &Path) -> Result<Self, Failure> {
        let failed = |why: &std::io::Error| Failure::io(&format!("making the folder {}", path.display()), why);
        std::fs::create_dir_all(path).map_err(|why| failed(&why))?;
        if std::fs::read_dir(path).map_err(|why| failed(&why))?.next().is_some() {
            return Err(Failure::usage(&format!("{} is not empty; name a new folder with --out", path.display())));
        }
        Ok(Self { path: path.to_owned(), open: None, has_manifest: false, files: 0, bytes: 0 })
    }

    fn take(&mut self, piece: Piece) -> Result<(), Failure> {
        match piece {
            Piece::File { path, bytes } => {
                self.close()?;
                if !is_path(&path) {
                    return Err(odd(&format!("a file at {path:?}")));
                }
                let file = self.path.join(&path);
                let failed = |why: &std::io::Error| Failure::io(&format!("writing {}", file.display()), why);
                if let Some(folder) = file.parent() {
                    std::fs::create_dir_all(folder).map_err(|why| failed(&why))?;
                }
                let opened = File::create_new(&file).map_err(|why| failed(&why))?;
                self.has_manifest |= path == MANIFEST;
                self.files += 1;
                self.open = Some((opened, file, bytes));
            }
            Piece::Contents(contents) => {
                let Some((file, path, left)) = &mut self.open else { return Err(odd("contents of no file")) };
                *left = left.checked_sub(contents.len() as u64).ok_or_else(|| odd("more than it announced"))?;
                let written = file.write_all(&contents);
                written.map_err(|why| Failure::io(&format!("writing {}", path.display()), &why))?;
                self.bytes += contents.len() as u64;
            }
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), Failure> {
        match self.open.take() {
            Some((_, _, left)) if left > 0 => Err(odd("less than it announced")),
            Some(_) | None => Ok(()),
        }
    }

    fn end(mut self) -> Result<Exported, Failure> {
        self.close()?;
        match self.has_manifest {
            true => Ok(Exported { archive: self.path.display().to_string(), files: self.files, bytes: self.bytes }),
            false => Err(odd("no manifest")),
        }
    }
}

fn odd(what: &str) -> Failure {
    Failure::new(Code::BadMessage, format!("the coordinator sent {what}; the archive is of no use"))
}

impl Report for Exported {
    fn text(&self) -> String {
        facts(&[("archive", self.archive.clone()), ("files", thousands(self.files)), ("bytes", thousands(self.bytes))])
    }
}
