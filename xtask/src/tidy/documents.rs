//! Rules about prose: it is numbered, listed, complete and its links lead somewhere.

use std::collections::{BTreeMap, BTreeSet};

use super::source::is_test_file;
use super::{Finding, Tree};

const ADRS: &str = "docs/adr/";
const ADR_LIST: &str = "docs/adr/README.md";
const ERROR_PAGES: &str = "docs/errors/";

/// Rule: decision records are numbered from 1 without a gap, and the list names each.
pub(crate) fn adr(tree: &Tree) -> Vec<Finding> {
    let list = tree.text(ADR_LIST).unwrap_or_default();
    let files = tree.texts().filter_map(|(path, _)| Some((path, path.strip_prefix(ADRS)?)));
    let records = files.filter(|(path, _)| *path != ADR_LIST);
    let mut findings = Vec::new();
    for (index, (path, name)) in records.enumerate() {
        let number = format!("{:04}-", index + 1);
        if !name.starts_with(&number) {
            findings.push(Finding::of(path, format!("its name should begin with {number}: numbers have no gap")));
        }
        if !list.contains(&format!("({name})")) {
            findings.push(Finding::of(path, format!("{ADR_LIST} does not link to it")));
        }
    }
    findings
}

/// Rule: every error code in the source has a page, and every page a code, once there are pages.
pub(crate) fn error_pages(tree: &Tree) -> Vec<Finding> {
    let pages: BTreeMap<&str, &str> = tree
        .texts()
        .filter_map(|(path, _)| Some((path.strip_prefix(ERROR_PAGES)?.strip_suffix(".md")?, path)))
        .filter(|(name, _)| *name != "README")
        .collect();
    if pages.is_empty() {
        return Vec::new();
    }
    let sources = tree.rust().filter(|(path, _)| !path.starts_with("xtask/") && !is_test_file(path));
    let mut used = BTreeSet::new();
    let mut findings = Vec::new();
    for (path, text) in sources {
        for code in codes(text) {
            if used.insert(code) && !pages.contains_key(code) {
                findings.push(Finding::of(path, format!("error code {code} has no page {ERROR_PAGES}{code}.md")));
            }
        }
    }
    let unused = pages.iter().filter(|(name, _)| !used.contains(**name));
    findings.extend(unused.map(|(name, path)| Finding::of(path, format!("no source names an error code {name}"))));
    findings
}

/// Error codes in a text: `E` and four digits, standing alone.
fn codes(text: &str) -> impl Iterator<Item = &str> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| {
        word.len() == 5
            && word.strip_prefix('E').is_some_and(|digits| digits.bytes().all(|digit| digit.is_ascii_digit()))
    })
}

/// Rule: links of documents to files of the repository lead to files of the repository.
pub(crate) fn links(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts().filter(|(path, _)| path.ends_with(".md")) {
        let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (index, line) in text.lines().enumerate() {
            for target in targets(line) {
                let file = target.split('#').next().unwrap_or_default();
                let inside = !file.is_empty() && !target.contains("://") && !target.starts_with("mailto:");
                if inside && !resolve(folder, file).is_some_and(|file| tree.has(&file)) {
                    findings.push(Finding::at(path, index + 1, format!("the link leads nowhere: {target}")));
                }
            }
        }
    }
    findings
}

/// Targets of the inline links in a line.
fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target))
}

/// `target` seen from `folder`, as a path from the root; none if it leads out of the repository.
fn resolve(folder: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unlisted_or_misnumbered_record_is_caught() {
        let listed = Tree::default().with(ADR_LIST, "[one](0001-a.md) [two](0002-b.md)").with("docs/adr/0001-a.md", "");
        assert_eq!(adr(&listed), []);
        assert_eq!(adr(&listed.clone().with("docs/adr/0002-c.md", "")).len(), 1);
        assert_eq!(adr(&listed.with("docs/adr/0003-b.md", "")).len(), 2);
    }

    #[test]
    fn a_code_without_a_page_and_a_page_without_a_code_are_caught() {
        let source = |text: &str| Tree::default().with("common/src/code.rs", text);
        assert_eq!(error_pages(&source("\"E0302\"")), [], "no pages yet");
        let paged = source("\"E0302\", 0xE0303").with("docs/errors/E0302.md", "").with("docs/errors/README.md", "");
        assert_eq!(error_pages(&paged), []);
        assert_eq!(error_pages(&paged.clone().with("common/src/more.rs", "\"E0401\"")).len(), 1);
        assert_eq!(error_pages(&paged.with("docs/errors/E0999.md", "")).len(), 1);
    }

    #[test]
    fn a_link_to_nowhere_is_caught() {
        let tree =
            |link: &str| Tree::default().with("docs/a.md", link).with("README.md", "").with("docs/adr/README.md", "");
        for link in
            ["[x](../README.md)", "[x](adr/)", "[x](adr)", "[x](#part)", "[x](https://example.org)", "[x](a.md#y)"]
        {
            assert_eq!(links(&tree(link)), [], "{link}");
        }
        for link in ["[x](README.md)", "[x](../../README.md)", "[x](b.md#y)", "a [x](a.md) b [y](gone.md)"] {
            assert_eq!(links(&tree(link)).len(), 1, "{link}");
        }
    }
}
