use super::*;

fn address(text: &str) -> Address {
    text.parse().expect("an address")
}

#[test]
fn addresses_are_read_as_people_write_them() {
    for (text, shown) in [
        ("127.0.0.1:4180", "127.0.0.1:4180"),
        ("http://127.0.0.1:4180/", "127.0.0.1:4180"),
        ("[::1]:80", "[::1]:80"),
        ("localhost:1", "localhost:1"),
        ("train.example.org:443", "train.example.org:443"),
    ] {
        assert_eq!(address(text).to_string(), shown);
    }
    for text in ["", "127.0.0.1", "host:", "host:0", "host:65536", ":1", "a b:1", "[zz]:1", "https://host:1", "::1:80"]
    {
        let error = text.parse::<Address>().expect_err(text);
        assert_eq!(Failure::from(error).code, Code::BadAddress, "{text}");
    }
}

#[test]
fn documents_name_the_address_that_programs_use() {
    let documents = [
        ("README.md", include_str!("../../../README.md")),
        ("README.zh-CN.md", include_str!("../../../README.zh-CN.md")),
        ("docs/serving.md", include_str!("../../../docs/serving.md")),
        ("E0115", include_str!("../../../docs/errors/E0115.md")),
        ("the coordinator's unit", include_str!("../../../deploy/systemd/syngrad-coordinator.service")),
    ];
    for (name, text) in documents {
        assert!(text.contains(DEFAULT_ADDRESS), "{name} names another address than {DEFAULT_ADDRESS}");
    }
}

#[test]
fn only_addresses_of_this_machine_are_loopback() {
    for text in ["127.0.0.1:1", "127.8.9.1:1", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:1"] {
        assert!(address(text).is_loopback(), "{text}");
    }
    for text in ["0.0.0.0:1", "10.0.0.1:1", "[::]:1", "example.org:1", "localhost.example.org:1"] {
        assert!(!address(text).is_loopback(), "{text}");
    }
}

#[tokio::test]
async fn an_unprotected_listener_stays_within_this_machine() {
    let outside = "0.0.0.0:0".parse().expect("an address");
    let refused = listen(outside, &ServerSecurity::InsecureLoopback).await.expect_err("it is reachable from outside");
    assert_eq!(Failure::from(refused).code, Code::InsecureAddress);
    let refused =
        connect(&address("192.0.2.1:4180"), &ClientSecurity::InsecureLoopback).await.expect_err("it is outside");
    assert_eq!(Failure::from(refused).code, Code::InsecureAddress);
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let first =
        listen("127.0.0.1:0".parse().expect("an address"), &ServerSecurity::InsecureLoopback).await.expect("a port");
    let taken = first.local_addr().expect("an address");
    let failure = Failure::from(listen(taken, &ServerSecurity::InsecureLoopback).await.expect_err("it is taken"));
    assert_eq!(failure.code, Code::CannotListen);
    assert!(failure.message.contains(&taken.to_string()), "{failure}");
}

#[tokio::test]
async fn nobody_at_the_address_is_said_in_words() {
    let listener =
        listen("127.0.0.1:0".parse().expect("an address"), &ServerSecurity::InsecureLoopback).await.expect("a port");
    let address = Address::from(listener.local_addr().expect("an address"));
    drop(listener);
    let failure =
        Failure::from(connect(&address, &ClientSecurity::InsecureLoopback).await.expect_err("nobody is there"));
    assert_eq!(failure.code, Code::Unreachable);
    assert!(failure.message.to_lowercase().contains("refused"), "{failure}");
}
