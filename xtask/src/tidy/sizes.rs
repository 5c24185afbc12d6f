//! Budgets: code stays short enough to be read in one go.

use syn::spanned::Spanned;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Signature, TraitItemFn};

use super::{Finding, Tree};

/// The longest file of code, in lines.
const FILE_LINES: usize = 500;

/// The longest function, in lines from its signature to its closing brace.
const FUNCTION_LINES: usize = 70;

/// Rule: files of code have [`FILE_LINES`] lines at most.
pub(crate) fn files(tree: &Tree) -> Vec<Finding> {
    let sized = tree.code().map(|(path, text)| (path, text.lines().count()));
    let long = sized.filter(|(_, lines)| *lines > FILE_LINES);
    let what = |lines| format!("{lines} lines are more than {FILE_LINES}; split it along what it decides");
    long.map(|(path, lines)| Finding::of(path, what(lines))).collect()
}

/// Rule: functions have [`FUNCTION_LINES`] lines at most, tests included.
pub(crate) fn functions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.rust() {
        let mut lengths = Lengths::default();
        if let Ok(file) = syn::parse_file(text) {
            lengths.visit_file(&file);
        }
        let long = lengths.found.into_iter().filter(|(_, _, lines)| *lines > FUNCTION_LINES);
        findings.extend(long.map(|(name, line, lines)| {
            Finding::at(path, line, format!("fn {name} has {lines} lines, more than {FUNCTION_LINES}; name its parts"))
        }));
    }
    findings
}

#[derive(Default)]
struct Lengths {
    found: Vec<(String, usize, usize)>,
}

impl Lengths {
    fn add(&mut self, signature: &Signature, block: &Block) {
        let first = signature.span().start().line;
        let last = block.span().end().line;
        self.found.push((signature.ident.to_string(), first, last + 1 - first));
    }
}

impl<'ast> Visit<'ast> for Lengths {
    fn visit_item_fn(&mut self, item: &'ast ItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_item_fn(self, item);
    }

    fn visit_impl_item_fn(&mut self, item: &'ast ImplItemFn) {
        self.add(&item.sig, &item.block);
        visit::visit_impl_item_fn(self, item);
    }

    fn visit_trait_item_fn(&mut self, item: &'ast TraitItemFn) {
        if let Some(block) = &item.default {
            self.add(&item.sig, block);
        }
        visit::visit_trait_item_fn(self, item);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_file_is_caught() {
        let tree = |lines: usize| Tree::default().with("a/src/lib.rs", &"\n".repeat(lines));
        assert_eq!(files(&tree(FILE_LINES)), []);
        assert_eq!(files(&tree(FILE_LINES + 1)).len(), 1);
        assert_eq!(files(&Tree::default().with("Cargo.lock", &"\n".repeat(9_000))), [], "nobody writes that one");
    }

    #[test]
    fn a_long_function_is_caught_wherever_it_stands() {
        let body = |lines: usize| format!("fn f() {{{}}}", "\n".repeat(lines - 1));
        for wrap in ["@", "impl A { @ }", "trait A { @ }", "mod a { @ }", "fn g() { @ }"] {
            let tree = |lines| Tree::default().with("a/src/lib.rs", &wrap.replace('@', &body(lines)));
            let named_f = |findings: Vec<Finding>| findings.iter().filter(|found| found.what.contains("fn f ")).count();
            assert_eq!(named_f(functions(&tree(FUNCTION_LINES))), 0, "{wrap}");
            assert_eq!(named_f(functions(&tree(FUNCTION_LINES + 1))), 1, "{wrap}");
        }
    }

    #[test]
    fn documentation_does_not_count() {
        let text = format!("{}fn f() {{\n}}", "/// A long story.\n".repeat(FUNCTION_LINES));
        assert_eq!(functions(&Tree::default().with("a/src/lib.rs", &text)), []);
    }
}
