//! What Rust source names: every path, however it is written and wherever it stands, macro bodies included.

use proc_macro2::{Delimiter, Group, Spacing, TokenStream, TokenTree};
use syn::Attribute;

use super::{Finding, Tree};

/// A path as code names it: `a::b`, or one leaf of `use a::{b, c}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) segments: Vec<String>,
    pub(crate) line: usize,
}

impl Named {
    /// The crate (or first module) it is in.
    pub(crate) fn first(&self) -> &str {
        self.segments.first().map_or("", String::as_str)
    }

    /// Whether it begins with `path`.
    pub(crate) fn starts_with(&self, path: &str) -> bool {
        let wanted: Vec<&str> = path.split("::").collect();
        self.segments.len() >= wanted.len() && self.segments.iter().zip(wanted).all(|(found, want)| found == want)
    }
}

/// Every path in `text`; none if it does not parse, which [`parses`] reports.
pub(crate) fn named(text: &str) -> Vec<Named> {
    let mut walk = Walk::default();
    walk.stream(text.parse().unwrap_or_default(), &[]);
    walk.found
}

#[derive(Default)]
struct Walk {
    found: Vec<Named>,
}

impl Walk {
    /// Collects the paths of `stream`, which all continue `prefix` (the part before the braces of a `use`).
    fn stream(&mut self, stream: TokenStream, prefix: &[String]) {
        let mut path = prefix.to_vec();
        let mut line = 0;
        let mut continues = !prefix.is_empty();
        let mut tokens = stream.into_iter().peekable();
        while let Some(token) = tokens.next() {
            match token {
                TokenTree::Ident(ident) => {
                    if !continues {
                        self.finish(&mut path, line);
                    }
                    path.push(ident.to_string());
                    line = ident.span().start().line;
                    continues = false;
                }
                TokenTree::Punct(punct) if punct.as_char() == ':' && punct.spacing() == Spacing::Joint => {
                    tokens.next();
                    continues = true;
                }
                TokenTree::Group(group) => {
                    self.group(&group, continues, &path);
                    self.finish(&mut path, line);
                    continues = false;
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {
                    self.finish(&mut path, line);
                    path = prefix.to_vec();
                    continues = !prefix.is_empty();
                }
            }
        }
        self.finish(&mut path, line);
    }

    fn group(&mut self, group: &Group, continues: bool, path: &[String]) {
        let inherits = continues && group.delimiter() == Delimiter::Brace;
        self.stream(group.stream(), if inherits { path } else { &[] });
    }

    fn finish(&mut self, path: &mut Vec<String>, line: usize) {
        let segments = std::mem::take(path);
        if !segments.is_empty() && line > 0 {
            self.found.push(Named { segments, line });
        }
    }
}

/// Whether the item that bears these attributes exists in tests only.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let path = attribute.path();
        let marks = path.segments.last().is_some_and(|last| last.ident == "test");
        let list = attribute.meta.require_list();
        marks || path.is_ident("cfg") && list.is_ok_and(|list| names_test(list.tokens.clone()))
    })
}

fn names_test(tokens: TokenStream) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(ident) => ident == "test",
        TokenTree::Group(group) => names_test(group.stream()),
        TokenTree::Punct(_) | TokenTree::Literal(_) => false,
    })
}

/// Whether the whole file exists in tests only.
pub(crate) fn is_test_file(path: &str) -> bool {
    path.starts_with("tests/") || path.contains("/tests/") || path.contains("/benches/") || path.ends_with("/tests.rs")
}

/// Rule: every Rust file and every manifest parses, so that no other rule passes by not looking.
pub(crate) fn parses(tree: &Tree) -> Vec<Finding> {
    let rust = tree.rust().filter_map(|(path, text)| {
        let error = syn::parse_file(text).err()?;
        Some(Finding::at(path, error.span().start().line, format!("this is not Rust: {error}")))
    });
    let manifests = tree.texts().filter(|(path, _)| path.ends_with(".toml"));
    let toml = manifests.filter_map(|(path, text)| {
        let error = text.parse::<toml::Table>().err()?;
        Some(Finding::of(path, format!("this is not TOML: {}", error.message())))
    });
    rust.chain(toml).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        named(text).into_iter().map(|named| named.segments.join("::")).collect()
    }

    #[test]
    fn paths_are_found_however_they_are_written() {
        let found = names("use a::{b, c::{self, d}, e::*}; fn f() { x!(g::h(1)); <T as I>::j(); ::k::l() }");
        for path in ["a::b", "a::c::self", "a::c::d", "a::e", "g::h", "k::l"] {
            assert!(found.iter().any(|name| name == path), "{path} is missing in {found:?}");
        }
    }

    #[test]
    fn comments_and_strings_name_nothing() {
        let found = names("//! a::b\n/// c::d\nfn f() { // e::f\n g(\"h::i\") }");
        assert!(!found.iter().any(|name| name.contains("::")), "{found:?}");
    }

    #[test]
    fn lines_are_those_of_the_file() {
        let found = named("\n\nuse a::{\n  b,\n};");
        let leaf = found.iter().find(|named| named.starts_with("a::b"));
        assert_eq!(leaf.map(|named| named.line), Some(4));
    }

    #[test]
    fn test_items_are_known() {
        let marked = |text: &str| is_test(&syn::parse_str::<syn::ItemFn>(text).expect("a function").attrs);
        assert!(marked("#[test] fn f() {}"));
        assert!(marked("#[tokio::test] fn f() {}"));
        assert!(marked("#[cfg(all(test, unix))] fn f() {}"));
        assert!(!marked("#[cfg(unix)] fn f() {}"));
    }

    #[test]
    fn broken_files_are_caught() {
        let tree = Tree::default().with("a/src/lib.rs", "fn {").with("a/Cargo.toml", "= 1");
        assert_eq!(parses(&tree).len(), 2);
        let tree = Tree::default().with("a/src/lib.rs", "fn f() {}").with("a/Cargo.toml", "a = 1");
        assert_eq!(parses(&tree), []);
    }
}
