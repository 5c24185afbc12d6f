use proptest::prelude::*;

use super::*;

const GOOD: &str = r#"
name = "digits"
seed = 7

[model]
kind = "mlp"
inputs = 784
hidden = [128, 128]
classes = 10

[data]
kind = "mnist"

[algorithm]
kind = "sync-sgd"
epochs = 3
units = 4
unit_samples = 64

[optimizer]
kind = "adam"
learning_rate = 0.001

[quorum]
round_deadline_seconds = 12.5
"#;

fn complaint(text: &str) -> ConfigError {
    CanonicalSpec::parse(text).expect_err("it is wrong")
}

#[test]
fn toml_and_its_own_json_are_the_same_spec() {
    let from_toml = CanonicalSpec::parse(GOOD).expect("a spec");
    let from_json = CanonicalSpec::parse(from_toml.text()).expect("its own encoding");
    assert_eq!(from_toml, from_json);
    assert_eq!(from_toml.spec().seed, 7);
    let from_wire = CanonicalSpec::from_wire(from_toml.json(), from_toml.digest()).expect("its own encoding");
    assert_eq!(from_wire, from_toml);
}

/// Both ends compare a spec's digest: what a later release can say besides must not change it.
#[test]
fn what_a_spec_does_not_say_is_not_in_its_encoding() {
    let fedavg = r#"kind = "fedavg"
rounds = 2
units = 4
local_epochs = 1
local_batch = 8
local_optimizer = { kind = "sgd", learning_rate = 0.5 }"#;
    let algorithm = "kind = \"sync-sgd\"\nepochs = 3\nunits = 4\nunit_samples = 64";
    let text = GOOD.replace(algorithm, fedavg);
    let spec = CanonicalSpec::parse(&text).expect("a spec");
    let expected = r#""data":{"kind":"mnist"},"algorithm":{"kind":"fedavg","rounds":2,"units":4,"local_epochs":1,"local_batch":8,"local_optimizer":{"#;
    assert!(spec.text().contains(expected), "{}", spec.text());
    let iid = text.replace("kind = \"mnist\"", "kind = \"mnist\"\npartition = { kind = \"iid\" }");
    assert_eq!(CanonicalSpec::parse(&iid).expect("a spec").digest(), spec.digest());
    let skewed =
        text.replace("kind = \"mnist\"", "kind = \"mnist\"\npartition = { kind = \"dirichlet\", alpha = 0.1 }");
    assert_ne!(CanonicalSpec::parse(&skewed).expect("a spec").digest(), spec.digest());
}

#[test]
fn an_unknown_key_is_placed_and_answered_with_the_likeliest_one() {
    for (wrong, right, key, line, column, meant) in [
        ("seed = 7", "sede = 7", "sede", 3, 1, "seed"),
        ("unit_samples", "unit_sample", "unit_sample", 18, 1, "unit_samples"),
        ("hidden", "hiden", "hiden", 8, 1, "hidden"),
        ("[optimizer]", "[optimiser]", "optimiser", 20, 2, "optimizer"),
        ("round_deadline_seconds", "round_deadline", "round_deadline", 25, 1, "round_deadline_seconds"),
        ("learning_rate", "learning-rate", "learning-rate", 22, 1, "learning_rate"),
    ] {
        let text = GOOD.replace(wrong, right);
        let ConfigError::Unknown { at, what, key: found, meant: likeliest, .. } = complaint(&text) else {
            panic!("{key} is unknown, not: {}", complaint(&text));
        };
        assert_eq!((what, found.as_str(), likeliest.as_deref()), ("key", key, Some(meant)), "{right}");
        assert_eq!(at, Position { line, column }, "{right}");
    }
}

#[test]
fn a_choice_without_constants_takes_none() {
    let data = "kind = \"mnist\"\npartition = { kind = \"iid\", alpha = 0.1 }";
    for (wrong, right, key) in [
        ("kind = \"mnist\"", data, "alpha"),
        ("[optimizer]", "[schedule]\nkind = \"constant\"\nwarmup_rounds = 3\n[optimizer]", "warmup_rounds"),
    ] {
        let text = GOOD.replace(wrong, right);
        assert_ne!(text, GOOD);
        let message = complaint(&text).to_string();
        assert!(message.contains(key), "{message}");
    }
}

#[test]
fn an_unknown_choice_is_answered_too() {
    let text = GOOD.replace("sync-sgd", "sync-sdg");
    let message = complaint(&text).to_string();
    assert!(message.contains("line 15") && message.contains("did you mean \"sync-sgd\"?"), "{message}");
    let nothing_like_it = GOOD.replace("\"adam\"", "\"zzz\"");
    let message = complaint(&nothing_like_it).to_string();
    assert!(message.contains("there are sgd, adam, adamw, rmsprop"), "{message}");
}

#[test]
fn json_is_answered_like_toml() {
    let json = CanonicalSpec::parse(GOOD).expect("a spec").text().replace("\"seed\"", "\"sead\"");
    let ConfigError::Unknown { key, meant, at, .. } = complaint(&json) else { panic!("the key is unknown") };
    assert_eq!((key.as_str(), meant.as_deref(), at.line), ("sead", Some("seed"), 1));
}

#[test]
fn other_mistakes_have_a_place_as_well() {
    let cut = complaint("name = \n");
    assert!(matches!(cut, ConfigError::Syntax { at: Position { line: 1, .. }, .. }), "{cut}");
    let wrong_type = complaint(&GOOD.replace("seed = 7", "seed = \"seven\""));
    assert!(matches!(wrong_type, ConfigError::Syntax { at: Position { line: 3, .. }, .. }), "{wrong_type}");
    let out_of_range = complaint(&GOOD.replace("units = 4", "units = 0"));
    assert!(matches!(&out_of_range, ConfigError::Value(error) if error.key == "algorithm.units"), "{out_of_range}");
    assert!(matches!(complaint(&"#".repeat(MAX_SPEC + 1)), ConfigError::TooLong { .. }));
    assert_eq!(Code::from(&cut), Code::SpecSyntax);
    assert_eq!(Code::from(&out_of_range), Code::SpecValue);
}

#[test]
fn a_spec_that_is_not_canonical_is_not_taken_from_the_wire() {
    let spec = CanonicalSpec::parse(GOOD).expect("a spec");
    let spaced = spec.text().replace(':', ": ");
    let refused = CanonicalSpec::from_wire(spaced.as_bytes(), spec.digest()).expect_err("white space");
    assert!(matches!(refused, ConfigError::Differs { .. }));
    let refused = CanonicalSpec::from_wire(spec.json(), Digest::default()).expect_err("another digest");
    assert!(matches!(refused, ConfigError::Differs { .. }));
    assert!(CanonicalSpec::from_wire(&[0xff, 0xfe], spec.digest()).is_err());
}

proptest! {
    /// Whatever decimals a spec has, the two ends of the wire compute with the same ones.
    #[test]
    fn every_number_survives_the_wire(rate in 1e-9..1e3f64, beta in 0.0..1.0f64, seed in any::<u64>()) {
        let mut spec = CanonicalSpec::parse(GOOD).expect("a spec").spec().clone();
        spec.seed = seed;
        spec.optimizer = syngrad_engine::spec::OptimizerSpec::Sgd { learning_rate: rate, momentum: beta, nesterov: false };
        let sent = CanonicalSpec::new(spec).expect("in range");
        let received = CanonicalSpec::from_wire(sent.json(), sent.digest()).expect("the same digest");
        prop_assert_eq!(received.spec(), sent.spec());
    }

    #[test]
    fn any_text_is_a_spec_or_an_error(text in "[ -~\\n]{0,300}") {
        let _ = CanonicalSpec::parse(&text);
    }
}
