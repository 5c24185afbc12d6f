//! Rules about words: names that say nothing, work left for later, places nobody else has.

use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{ExprMethodCall, ImplItemFn, ItemFn, ItemMod, Macro};

use super::source::{is_test, is_test_file};
use super::{Finding, Tree};

/// Parts of a module's name that say nothing of what it holds.
const EMPTY_NAMES: &[&str] = &["util", "utils", "helper", "helpers", "manager", "managers", "misc"];

/// Marks of unfinished work; in two pieces each, so that this file does not break its own rule.
const UNFINISHED: &[&str] = &[
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("HA", "CK"),
    concat!("todo", "!"),
    concat!("unimplemented", "!"),
    concat!("#[", "ignore"),
];

/// Beginnings of paths that exist on one machine only.
const MACHINE_PATHS: &[&str] =
    &[concat!("/ho", "me/"), concat!("/ro", "ot/"), concat!("/wo", "rk/"), concat!("/Us", "ers/")];

/// Hosts of package registries: a mirror would make them wrong, and the package clients know them.
const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("npmjs", ".org"),
    concat!("deb.debian", ".org"),
    concat!("proxy.golang", ".org"),
];

/// Written by cargo, which names the index in it.
const LOCK_FILE: &str = "Cargo.lock";

/// Rule: files, folders and modules are named after what they hold.
pub(crate) fn names(tree: &Tree) -> Vec<Finding> {
    let says_nothing = |name: &str| name.split(['_', '-', '.']).any(|part| EMPTY_NAMES.contains(&part));
    let bad = tree.code().filter(|(path, _)| path.split('/').any(says_nothing));
    let files = bad.map(|(path, _)| Finding::of(path, "name the file after what it holds"));
    let modules = tree.rust().flat_map(|(path, text)| {
        let found = modules(text).into_iter().filter(|(name, _)| says_nothing(name));
        found.map(move |(name, line)| {
            Finding::at(path, line, format!("mod {name}: name the module after what it holds"))
        })
    });
    files.chain(modules).collect()
}

fn modules(text: &str) -> Vec<(String, usize)> {
    #[derive(Default)]
    struct Modules(Vec<(String, usize)>);
    impl<'ast> Visit<'ast> for Modules {
        fn visit_item_mod(&mut self, item: &'ast ItemMod) {
            self.0.push((item.ident.to_string(), item.ident.span().start().line));
            visit::visit_item_mod(self, item);
        }
    }
    let mut modules = Modules::default();
    if let Ok(file) = syn::parse_file(text) {
        modules.visit_file(&file);
    }
    modules.0
}

/// Every place where one of `words` stands in `text` on its own: not within a longer word.
fn places<'a>(text: &'a str, words: &'a [&'a str]) -> impl Iterator<Item = (usize, &'a str)> {
    text.lines().enumerate().flat_map(move |(index, line)| {
        let found =
            words.iter().filter(move |word| line.match_indices(**word).any(|(at, _)| stands_alone(line, at, word)));
        found.map(move |word| (index + 1, *word))
    })
}

fn stands_alone(line: &str, at: usize, word: &str) -> bool {
    let joins = |edge: char, next: Option<char>| edge.is_alphanumeric() && next.is_some_and(char::is_alphanumeric);
    let before = line[..at].chars().next_back();
    let after = line[at + word.len()..].chars().next();
    let first = word.chars().next().unwrap_or(' ');
    let last = word.chars().next_back().unwrap_or(' ');
    let within_path = first == '/' && before.is_some_and(|c| c.is_alphanumeric() || "._-$}".contains(c));
    !joins(first, before) && !joins(last, after) && !within_path
}

/// Rule: nothing is left for later, and no test is switched off.
pub(crate) fn unfinished(tree: &Tree) -> Vec<Finding> {
    let found = tree.code().flat_map(|(path, text)| places(text, UNFINISHED).map(move |place| (path, place)));
    found.map(|(path, (line, word))| Finding::at(path, line, format!("{word}: finish it or leave it out"))).collect()
}

/// Rule: text that others read names no path of one machine and no registry's host.
pub(crate) fn private_places(tree: &Tree) -> Vec<Finding> {
    let ours = || tree.texts().filter(|(path, _)| *path != LOCK_FILE);
    let paths = ours().flat_map(|(path, text)| places(text, MACHINE_PATHS).map(move |place| (path, place)));
    let paths = paths.map(|(path, (line, _))| Finding::at(path, line, "this path exists on one machine only"));
    let hosts = ours().flat_map(|(path, text)| places(text, REGISTRIES).map(move |place| (path, place)));
    let hosts =
        hosts.map(|(path, (line, host))| Finding::at(path, line, format!("{host}: leave registries to their clients")));
    paths.chain(hosts).collect()
}

/// Rule: only tests unwrap; others say why it holds, or return the error.
pub(crate) fn unwrap(tree: &Tree) -> Vec<Finding> {
    let shipped = tree.rust().filter(|(path, _)| !is_test_file(path));
    let found = shipped.flat_map(|(path, text)| {
        let mut unwraps = Unwraps::default();
        if let Ok(file) = syn::parse_file(text) {
            unwraps.visit_file(&file);
        }
        unwraps.0.into_iter().map(move |line| (path, line))
    });
    found.map(|(path, line)| Finding::at(path, line, "return the error, or expect(\"why it holds\")")).collect()
}

#[derive(Default)]
struct Unwraps(Vec<usize>);

impl Unwraps {
    /// Macro bodies are tokens: an unwrap is a dot and the word.
    fn tokens(&mut self, tokens: TokenStream) {
        let mut after_dot = false;
        for token in tokens {
            match &token {
                TokenTree::Ident(ident) if after_dot && ident == "unwrap" => self.0.push(ident.span().start().line),
                TokenTree::Group(group) => self.tokens(group.stream()),
                TokenTree::Ident(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
            after_dot = matches!(&token, TokenTree::Punct(punct) if punct.as_char() == '.');
        }
    }
}

impl<'ast> Visit<'ast> for Unwraps {
    fn visit_item_mod(&mut self, item: &'ast ItemMod) {
        if !is_test(&item.attrs) {
            visit::visit_item_mod(self, item);
        }
    }

    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_impl_item_fn(self, item);
        }
    }

    fn visit_expr_method_call(&mut self, call: &'ast ExprMethodCall) {
        if call.method == "unwrap" {
            self.0.push(call.method.span().start().line);
        }
        visit::visit_expr_method_call(self, call);
    }

    fn visit_macro(&mut self, item: &'ast Macro) {
        self.tokens(item.tokens.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(path: &str, text: &str) -> Tree {
        Tree::default().with(path, text)
    }

    #[test]
    fn names_that_say_nothing_are_caught() {
        for path in ["a/src/utils.rs", "a/src/helper/mod.rs", "a/src/lease_manager.rs", "tests/helpers/x.py"] {
            assert_eq!(names(&with(path, "")).len(), 1, "{path}");
        }
        assert_eq!(names(&with("a/src/lib.rs", "mod net_util { }")).len(), 1);
        assert_eq!(names(&with("a/src/lease.rs", "mod futile { }")), []);
    }

    #[test]
    fn unfinished_work_is_caught() {
        for word in UNFINISHED {
            assert_eq!(unfinished(&with("a/src/lib.rs", &format!("// {word} later"))).len(), 1, "{word}");
        }
        assert_eq!(unfinished(&with("a/src/lib.rs", "// HACKNEY is a place, and a custodo! is not")), []);
        assert_eq!(unfinished(&with("README.md", UNFINISHED[0])), [], "prose may name what it forbids");
    }

    #[test]
    fn private_places_are_caught() {
        let found = |text: &str| private_places(&with("README.md", text)).len();
        for path in MACHINE_PATHS {
            assert_eq!(found(&format!("see {path}x")), 1, "{path}");
            assert_eq!(found(&format!("see src{path}mod.rs")), 0, "{path} within a longer path");
        }
        for host in REGISTRIES {
            assert_eq!(found(&format!("see https://{host}/x")), 1, "{host}");
        }
        assert_eq!(private_places(&with(LOCK_FILE, REGISTRIES[0])), []);
    }

    #[test]
    fn unwraps_outside_tests_are_caught() {
        for text in
            ["fn f() { g().unwrap(); }", "impl A { fn f() { x!(g().unwrap()) } }", "mod a { fn f() { g().unwrap(); } }"]
        {
            assert_eq!(unwrap(&with("a/src/lib.rs", text)).len(), 1, "{text}");
            assert_eq!(unwrap(&with("a/src/lib/tests.rs", text)), []);
        }
        for text in [
            "#[cfg(test)] mod tests { fn f() { g().unwrap(); } }",
            "#[test] fn f() { g().unwrap(); }",
            "fn f() { g().unwrap_or(1); }",
        ] {
            assert_eq!(unwrap(&with("a/src/lib.rs", text)), [], "{text}");
        }
    }
}
