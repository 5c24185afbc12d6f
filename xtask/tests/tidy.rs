//! The repository keeps its own rules.

use xtask::tidy::{Tree, Violation, check};

#[test]
fn the_repository_is_tidy() {
    let tree = Tree::read(&xtask::root()).expect("the checkout is readable");
    let violations: Vec<String> = check(&tree).iter().map(Violation::to_string).collect();
    assert!(violations.is_empty(), "{} violations:\n{}", violations.len(), violations.join("\n"));
}
