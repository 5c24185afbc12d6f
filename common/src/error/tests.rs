use std::collections::BTreeSet;
use std::path::Path;

use super::*;

#[test]
fn every_code_has_a_number_of_its_own_and_a_page_of_the_same_form() {
    let numbers: BTreeSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(numbers.len(), Code::ALL.len());
    for &code in Code::ALL {
        let page = code.page();
        assert!(page.starts_with(&format!("# {code}: ")), "{code}: the page begins with its code and title");
        assert!(page.contains("\n## What happened\n"), "{code}: the page says what happened");
        assert!(!code.next_step().is_empty(), "{code}: the page says what to do");
        assert!(!code.title().contains(code.as_str()), "{code}: the title stands alone");
    }
}

#[test]
fn every_page_is_of_a_code() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/errors");
    for entry in std::fs::read_dir(folder).expect("the folder of pages") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name in UTF-8");
        let code = name.strip_suffix(".md").and_then(Code::parse);
        assert!(code.is_some(), "{name} is the page of no code");
    }
}

#[test]
fn codes_are_read_in_either_case_and_nothing_else_is() {
    assert_eq!(Code::parse("e0101"), Some(Code::Unreachable));
    for text in ["", "E01", "E0000", "E01011", "101"] {
        assert_eq!(Code::parse(text), None, "{text:?}");
    }
}

#[test]
fn exit_statuses_are_the_documented_ones() {
    let status = |code: Code| code.exit() as u8;
    assert_eq!(status(Code::RunFailed), 1);
    assert_eq!(status(Code::SpecUnknownKey), 2);
    assert_eq!(status(Code::Unreachable), 3);
    assert_eq!(status(Code::InsecureAddress), 4);
    assert_eq!(status(Code::HandshakeTimeout), 5);
    assert_eq!(status(Code::RunActive), 6);
    assert_eq!(status(Code::Internal), 70);
}
