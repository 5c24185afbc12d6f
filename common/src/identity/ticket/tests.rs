use std::io::Cursor;
use std::time::Duration;

use proptest::prelude::*;

use super::*;

fn at(seconds: u64) -> UnixTime {
    UnixTime::since_unix_epoch(Duration::from_secs(seconds))
}

fn ticket() -> Ticket {
    Ticket {
        addresses: vec![
            "train.example.org:7070".parse().expect("an address"),
            "[::1]:7070".parse().expect("an address"),
        ],
        authority: Sha256([3; 32]),
        invitation: InvitationId([4; 16]),
        secret: TicketSecret::new([5; 32]),
        invited: Invited::Partner(PartnerName::parse("hospital-b").expect("a name")),
        consortium: ConsortiumName::parse("hospitals").expect("a name"),
        expires: at(2_000_000_000),
    }
}

fn text() -> String {
    ticket().to_text().expect("a ticket of usual size").to_string()
}

prop_compose! {
    fn tickets()(
        hosts in prop::collection::vec(("[a-z]{1,20}(\\.[a-z]{1,9}){0,2}", 1u16..), 1..=MAX_ADDRESSES),
        authority: [u8; 32],
        invitation: [u8; 16],
        secret: [u8; 32],
        name in "[a-z][a-z0-9-]{0,63}",
        consortium in "[a-z][a-z0-9-]{0,63}",
        role in 0..3,
        expires in 0u64..=253_402_300_799,
    ) -> Ticket {
        let holder = HolderName::parse(&name).expect("a name");
        Ticket {
            addresses: hosts.iter().map(|(host, port)| format!("{host}:{port}").parse().expect("an address")).collect(),
            authority: Sha256(authority),
            invitation: InvitationId(invitation),
            secret: TicketSecret::new(secret),
            invited: match role {
                0 => Invited::Partner(PartnerName::parse(&name).expect("a name")),
                1 => Invited::Operator(holder),
                _ => Invited::Client(holder),
            },
            consortium: ConsortiumName::parse(&consortium).expect("a name"),
            expires: at(expires),
        }
    }
}

proptest! {
    #[test]
    fn a_ticket_reads_as_it_was_written(ticket in tickets()) {
        let text = ticket.to_text().expect("at most eight short addresses");
        prop_assert_eq!(Ticket::parse(&text), Ok(ticket.clone()));
        // Mails break lines, and terminals add spaces.
        let broken: String = text.chars().enumerate().map(|(i, c)| if i % 60 == 59 { format!("{c}\r\n  ") } else { c.to_string() }).collect();
        prop_assert_eq!(Ticket::parse(&format!("  {broken}\n")), Ok(ticket));
    }

    #[test]
    fn no_text_is_taken_for_a_ticket(text in ".{0,300}", tail in "[A-Za-z0-9_-]{0,300}") {
        prop_assert!(Ticket::parse(&text).is_err());
        let parsed = Ticket::parse(&format!("syngrad1-{tail}"));
        prop_assert!(parsed.is_err());
    }
}

#[test]
fn every_change_of_one_character_is_named() {
    let text = text();
    for (index, original) in text.char_indices() {
        for changed in ('!'..='~').filter(|&changed| changed != original) {
            let mut characters: Vec<char> = text.chars().collect();
            characters[index] = changed;
            let error = Ticket::parse(&characters.iter().collect::<String>()).expect_err("it was changed");
            let in_body = matches!(error, TicketError::Mistyped | TicketError::Character { .. });
            let in_prefix = matches!(error, TicketError::NotATicket { .. } | TicketError::Version { .. });
            assert!(if index < PREFIX.len() { in_prefix } else { in_body }, "{changed:?} at {index}: {error:?}");
            assert_eq!(Code::from(&error), Code::TicketUnreadable);
        }
    }
}

#[test]
fn every_truncation_is_named() {
    let text = text();
    assert_eq!(Ticket::parse(""), Err(TicketError::Empty));
    assert_eq!(Ticket::parse(" \n"), Err(TicketError::Empty));
    for length in 1..text.len() {
        let error = Ticket::parse(&text[..length]).expect_err("it was cut off");
        let expected = match length < PREFIX.len() + HEADER_TEXT {
            true => TicketError::TruncatedEarly { found: length },
            false => TicketError::Truncated { found: length, expected: text.len() },
        };
        assert_eq!(error, expected);
    }
    let error = Ticket::parse(&format!("{text}x")).expect_err("there is more than a ticket");
    assert_eq!(error, TicketError::TooLong { found: text.len() + 1, expected: text.len() });
}

#[test]
fn a_character_that_is_missing_or_twice_is_named() {
    let text = text();
    for index in PREFIX.len()..text.len() {
        let (before, after) = text.split_at(index);
        let missing = format!("{before}{}", &after[1..]);
        assert!(Ticket::parse(&missing).is_err(), "{index}");
        let twice = format!("{before}{}{after}", &after[..1]);
        assert!(Ticket::parse(&twice).is_err(), "{index}");
    }
}

#[test]
fn what_is_no_ticket_says_so() {
    for text in ["hello", "127.0.0.1:7070", "syngrad", "syngradx-aa", "Syngrad1-aaaa", &"x".repeat(MAX_TEXT + 1)] {
        let error = Ticket::parse(text).expect_err("no ticket");
        assert!(matches!(error, TicketError::NotATicket { .. } | TicketError::TruncatedEarly { .. }), "{error:?}");
    }
    assert_eq!(Ticket::parse("syngrad2-aaaa"), Err(TicketError::Version { found: "2".to_owned() }));
}

#[test]
fn a_whole_ticket_must_make_sense() {
    let bad = [
        Ticket { addresses: Vec::new(), ..ticket() },
        Ticket { addresses: vec![ticket().addresses[0].clone(); MAX_ADDRESSES + 1], ..ticket() },
        Ticket { expires: at(u64::MAX), ..ticket() },
    ];
    for ticket in bad {
        assert!(matches!(ticket.to_text(), Err(TicketError::Content(_))), "{ticket:?}");
    }
    let long = format!("{}:1", "a.".repeat(126));
    let long = Ticket { addresses: vec![long.parse().expect("an address"); MAX_ADDRESSES], ..ticket() };
    assert!(long.to_text().is_ok(), "the longest addresses fit");
}

#[test]
fn a_ticket_is_good_until_its_moment() {
    let text = text();
    assert!(Ticket::parse_valid(&text, at(1_999_999_999)).is_ok());
    let error = Ticket::parse_valid(&text, at(2_000_000_000)).expect_err("it expired");
    assert_eq!(Failure::from(error.clone()).code, Code::TicketExpired);
    assert!(error.to_string().contains("2033-05-18 03:33:20 UTC"), "{error}");
    assert!(Ticket::parse(&text).is_ok(), "it can still be looked at");
}

#[test]
fn a_ticket_is_shown_without_its_secret() {
    let ticket = ticket();
    let view = ticket.view(at(0));
    assert_eq!((view.role, view.holder.as_str(), view.expired), ("partner", "hospital-b", false));
    assert!(ticket.view(at(u64::MAX)).expired);
    let shown = format!("{ticket:?} {view:?} {:?}", ticket.secret);
    for secret in ["0505", "5, 5", "BQUF"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(shown.contains("TicketSecret(..)") && shown.contains("(hidden)"), "{shown}");
}

#[test]
fn a_secret_is_compared_whole() {
    let secret = TicketSecret::new([5; 32]);
    for index in 0..TicketSecret::LEN {
        let mut other = [5; 32];
        other[index] ^= 0x80;
        assert_ne!(secret, TicketSecret::new(other));
        assert_ne!(secret.hashed(), TicketSecret::new(other).hashed());
    }
    assert_ne!(TicketSecret::generate().expect("random bytes"), TicketSecret::generate().expect("random bytes"));
}

#[test]
fn a_ticket_comes_from_an_argument_a_file_the_environment_or_standard_input() {
    let place = tempfile::tempdir().expect("a folder");
    let file = place.path().join("ticket");
    std::fs::write(&file, "from a file\n").expect("our folder");
    let read = |argument, file, environment: Option<&str>| {
        let environment = environment.map(std::ffi::OsString::from);
        let sources = Sources { argument, file, environment, stdin: Cursor::new("from standard input") };
        sources.text().map(|text| text.to_string())
    };
    assert_eq!(read(Some("given"), None, Some("from elsewhere")).as_deref(), Ok("given"));
    assert_eq!(read(Some(STDIN), None, Some("from elsewhere")).as_deref(), Ok("from standard input"));
    assert_eq!(read(None, Some(&file), Some("from elsewhere")).as_deref(), Ok("from a file\n"));
    assert_eq!(read(None, None, Some("from elsewhere")).as_deref(), Ok("from elsewhere"));
    assert_eq!(read(None, None, None).expect_err("there is none").code, Code::Usage);
    let missing = read(None, Some(&place.path().join("none")), None).expect_err("no such file");
    assert_eq!(missing.code, Code::LocalFile);
}
