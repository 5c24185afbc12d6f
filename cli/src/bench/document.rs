//! A document with a place for what a command measures, so that nobody copies figures by hand.

use std::path::Path;

use crate::failure::Failure;

/// A document and the lines that mark the place: `<!-- begin: COMMAND -->` and `<!-- end: COMMAND -->`.
pub(super) struct Document<'a> {
    path: &'a Path,
    before: String,
    after: String,
}

impl<'a> Document<'a> {
    /// Reads it before anything is measured, so that a document without the place costs no time.
    pub(super) fn open(path: &'a Path, command: &str) -> Result<Self, Failure> {
        let doing = format!("reading {}", path.display());
        let text = std::fs::read_to_string(path).map_err(|why| Failure::io(&doing, &why))?;
        let (begin, end) = (format!("<!-- begin: {command} -->"), format!("<!-- end: {command} -->"));
        let parts = text.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
        let Some((before, after)) = parts else {
            return Err(Failure::usage(&format!("{} has no lines {begin} and {end} to write between", path.display())));
        };
        Ok(Self { path, before: format!("{before}{begin}\n"), after: format!("{end}{after}") })
    }

    /// Puts `text`, whole lines, into the place.
    pub(super) fn write(&self, text: &str) -> Result<(), Failure> {
        let Self { path, before, after } = self;
        let whole = format!("{before}{text}{after}");
        std::fs::write(path, whole).map_err(|why| Failure::io(&format!("writing {}", path.display()), &why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_goes_between_the_marks_and_nowhere_else() {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let file = folder.path().join("figures.md");
        let marked = |text: &str| format!("before\n<!-- begin: c -->\n{text}<!-- end: c -->\nafter\n");
        std::fs::write(&file, marked("old\n")).expect("the folder is writable");
        let written = Document::open(&file, "c").and_then(|document| document.write("| new |\n"));
        assert_eq!(written, Ok(()));
        assert_eq!(std::fs::read_to_string(&file).expect("it is there"), marked("| new |\n"));
        assert!(Document::open(&file, "another").is_err());
    }
}
