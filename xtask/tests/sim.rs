//! `cargo xtask sim` as a person types it.

use clap::Parser;
use xtask::sim::{self, Arguments};

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    arguments: Arguments,
}

fn sim(line: &[&str]) -> String {
    let Line { arguments } = Line::parse_from([&["sim"], line].concat());
    let mut out = Vec::new();
    sim::run(&arguments, &mut out).expect("no rule is broken");
    String::from_utf8(out).expect("it writes text")
}

#[test]
fn seeds_are_summed_up() {
    let report = sim(&["--seeds", "50", "--from", "7"]);
    assert!(report.starts_with("50 worlds, "), "{report}");
    for line in [
        "no rule was broken",
        "rounds committed",
        "workers killed",
        "duplicates refused",
        "units leased again",
        "wrong updates taken back",
        "coordinators died",
        "writes lost at a crash",
        "waits for a full disk",
    ] {
        assert!(report.contains(line), "{line} is missing: {report}");
    }
}

#[test]
fn a_seed_can_be_read() {
    let story = sim(&["--seed", "2", "--trace"]);
    let told: Vec<&str> = story.lines().collect();
    assert!(told.iter().any(|line| line.contains("run -> Open { round: Round(0) }")), "{story}");
    assert!(told.iter().any(|line| line.contains("-> SendUpdate")), "{story}");
    assert!(told.iter().any(|line| line.contains("keeping -> Keep")), "{story}");
    let untimed =
        |story: &str| story.lines().filter(|line| !line.contains(" worlds, ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(untimed(&sim(&["--seed", "2", "--trace"])), untimed(&story), "and reads the same every time");
}

#[test]
fn a_trace_is_of_one_seed() {
    assert!(Line::try_parse_from(["sim", "--trace"]).is_err());
    assert!(Line::try_parse_from(["sim", "--seed", "1", "--seeds", "2"]).is_err());
}
