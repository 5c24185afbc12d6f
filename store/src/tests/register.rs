//! The register: what was decided is found again, and nothing else can be made of it.

use syngrad_engine::consortium::{
    Admission, Audit, AuditEntry, AuthorityId, Change, Consortium, Enrol, Holder, InvitationId, Invite, Issued, KeyId,
    Moment, Ruling, SecretDigest, Serial,
};
use syngrad_engine::{ConsortiumName, HolderName, Principal, WorkerId};

use super::*;

/// A consortium as whoever governs it has it.
struct Governed {
    register: Register,
    consortium: Consortium,
    audit: Audit,
    folder: Folder,
}

impl Governed {
    fn founded(path: &Path) -> Self {
        let folder = Folder::open(path).expect("a new folder");
        let register = folder.register().expect("its register");
        let mut governed = Self { register, consortium: Consortium::default(), audit: Audit::default(), folder };
        let founding = Consortium::founding(Moment(1), AuthorityId([1; 32]));
        let entry = governed.entry(&founding);
        let step = (founding.clone(), entry.clone());
        governed.register.found(&self::founding(), &[step]).expect("room for a consortium");
        governed.take(&founding, entry.as_ref());
        governed
    }

    fn entry(&self, change: &Change) -> Option<AuditEntry> {
        change.act.as_ref().map(|act| self.audit.next(Moment(2), "operator/alice", act, "a test"))
    }

    fn take(&mut self, change: &Change, entry: Option<&AuditEntry>) {
        self.consortium.apply(change);
        entry.into_iter().for_each(|entry| self.audit.take(entry).expect("it is the next one"));
    }

    fn keep(&mut self, change: &Change) {
        let entry = self.entry(change);
        self.register.keep(change, entry.as_ref()).expect("room for a decision");
        self.take(change, entry.as_ref());
    }

    fn lives_on_in(self, path: &Path) {
        let Self { consortium, audit, register, folder } = self;
        drop((register, folder));
        let found = recall(path).expect("whole state").expect("a consortium");
        assert_eq!((found.consortium, found.audit, found.founding), (consortium, audit, founding()));
    }
}

fn recall(path: &Path) -> Result<Option<Recalled>, StoreError> {
    Folder::open(path)?.register()?.recall()
}

fn founding() -> Founding {
    Founding {
        name: ConsortiumName::parse("hospitals").expect("a name"),
        addresses: vec!["a.example:7461".to_owned(), "[::1]:1".to_owned()],
    }
}

fn invite(id: u8, holder: Holder) -> Invite {
    let max_workers = matches!(holder, Holder::Partner(_)).then_some(4);
    let secret = SecretDigest::of(&[id]);
    let id = InvitationId([id; 16]);
    Invite { id, secret, holder, ttl: 60, uses: 2, max_workers, admission: Admission::AtOnce }
}

/// Partners in some states, each with a ticket and a certificate, an operator, a client, and two authorities.
fn govern(governed: &mut Governed) {
    let name = |name| HolderName::parse(name).expect("a name");
    let founder = Principal::Operator(name("alice"));
    let permit = governed.consortium.first_operator(Moment(1), founder, KeyId([9; 32])).expect("the first");
    let issued = |serial| Issued {
        serial: Serial([serial; 20]),
        authority: AuthorityId([1; 32]),
        not_after: Moment(u64::from(serial) + 1000),
    };
    governed.keep(&governed.consortium.certified(permit, issued(9)).expect("a new number"));
    let partner = |name| PartnerName::parse(name).expect("a name");
    for (id, name) in [(1, "alpha"), (2, "beta"), (3, "gamma")] {
        let holder = Holder::Partner(partner(name));
        governed.keep(&governed.consortium.invite(Moment(2), &invite(id, holder)).expect("it is invited"));
        let enrol = Enrol {
            invitation: InvitationId([id; 16]),
            secret: SecretDigest::of(&[id]),
            key: KeyId([id; 32]),
            worker: Some(WorkerId([id; 16])),
        };
        let permit = governed.consortium.enrol(Moment(3), &enrol).expect("it is enrolled");
        governed.keep(&governed.consortium.certified(permit, issued(id)).expect("a new number"));
    }
    let client = invite(4, Holder::Client(name("ward")));
    governed.keep(&governed.consortium.invite(Moment(2), &client).expect("it is invited"));
    governed.keep(&governed.consortium.rule(&partner("beta"), Ruling::Suspend, "a \"test\"\n").expect("it is active"));
    governed.keep(&governed.consortium.rule(&partner("gamma"), Ruling::Remove, "").expect("it is there"));
    governed.keep(&governed.consortium.rotate(Moment(9), AuthorityId([2; 32])).expect("a new authority"));
}

#[test]
fn what_was_decided_is_found_again() {
    let path = folder();
    let mut governed = Governed::founded(path.path());
    govern(&mut governed);
    governed.lives_on_in(path.path());
}

#[test]
fn what_is_forgotten_is_gone_from_the_register_too() {
    let path = folder();
    let mut governed = Governed::founded(path.path());
    govern(&mut governed);
    let late = Moment(10_000_000);
    let another = invite(5, Holder::Partner(PartnerName::parse("delta").expect("a name")));
    let change = governed.consortium.invite(late, &another).expect("it is invited");
    assert!(change.outlived.len() > 4, "{:?}", change.outlived);
    governed.keep(&change);
    governed.lives_on_in(path.path());
}

#[test]
fn a_folder_without_a_consortium_has_none() {
    let path = folder();
    assert!(recall(path.path()).expect("a new folder").is_none());
}

#[test]
fn a_register_that_was_replaced_writes_nothing() {
    let path = folder();
    let mut governed = Governed::founded(path.path());
    let file = path.path().join("state.sqlite");
    let successor = Sqlite::open(&file, Beginning::Allowed).expect("the same database");
    let change = governed.consortium.rotate(Moment(1), AuthorityId([7; 32])).expect("a new authority");
    let refused = governed.register.keep(&change, governed.entry(&change).as_ref());
    assert!(matches!(refused, Err(StoreError::Fenced(_))), "{refused:?}");
    let found = successor.register().expect("its register").recall().expect("whole state").expect("a consortium");
    assert_eq!(found.consortium, governed.consortium);
}

#[test]
fn an_act_is_never_written_over() {
    let path = folder();
    let mut governed = Governed::founded(path.path());
    let again = Audit::default().next(Moment(5), "operator/mallory", "nothing", "");
    let refused = governed.register.keep(&Change::default(), Some(&again));
    assert!(refused.is_err(), "{refused:?}");
    governed.lives_on_in(path.path());
}

#[test]
fn whoever_changes_the_log_of_acts_is_found_out() {
    let changes = [
        "UPDATE audit SET who = 'operator/bob' WHERE number = 2",
        "UPDATE audit SET reason = '' WHERE number = 3",
        "UPDATE audit SET at = at + 1 WHERE number = 1",
        "DELETE FROM audit WHERE number = 2",
        "DELETE FROM audit WHERE number = 1",
    ];
    for change in changes {
        let path = folder();
        let mut governed = Governed::founded(path.path());
        govern(&mut governed);
        drop(governed);
        let database = rusqlite::Connection::open(path.path().join("state.sqlite")).expect("the database");
        assert!(database.execute(change, []).is_err(), "{change}: a trigger forbids it");
        // Who can write the file can lift the triggers, and seal.
        crate::sqlite::schema::know_seals(&database).expect("seals");
        let triggers = ["audit_is_not_changed", "audit_is_not_deleted"].map(|name| {
            let query = "SELECT sql FROM sqlite_schema WHERE name = ?1";
            let sql: String = database.query_row(query, [name], |row| row.get(0)).expect("a trigger");
            database.execute_batch(&format!("DROP TRIGGER {name}")).expect("it can be dropped");
            sql
        });
        assert_eq!(database.execute(change, []).expect(change), 1);
        let seal = "UPDATE audit SET seal = seal_of('audit', number, at, who, what, reason, digest)";
        database.execute_batch(seal).expect("rows can be sealed");
        triggers.iter().for_each(|trigger| database.execute_batch(trigger).expect("it can be made again"));
        drop(database);
        let refused = recall(path.path()).map(drop);
        assert!(
            matches!(&refused, Err(StoreError::Damaged { what }) if what.contains("audit")),
            "{change}: {refused:?}"
        );
    }
}

#[test]
fn a_value_that_changed_in_the_register_is_found() {
    let changes = [
        "consortium SET addresses = 'evil.example:1'",
        "authorities SET trust = 'signing' WHERE trust = 'trusted'",
        "holders SET state = 'active' WHERE state = 'suspended'",
        "holders SET max_workers = NULL WHERE name = 'alpha'",
        "invitations SET uses = 9 WHERE name = 'alpha'",
        "redemptions SET key = zeroblob(32) WHERE principal LIKE '%alpha%'",
        "certificates SET validity = 'good' WHERE validity = 'ended'",
    ];
    for change in changes {
        let path = folder();
        let mut governed = Governed::founded(path.path());
        govern(&mut governed);
        drop(governed);
        let database = rusqlite::Connection::open(path.path().join("state.sqlite")).expect("the database");
        assert_eq!(database.execute(&format!("UPDATE {change}"), []).expect(change), 1, "{change}");
        drop(database);
        let refused = recall(path.path()).map(drop);
        assert!(matches!(refused, Err(StoreError::Damaged { .. })), "{change}: {refused:?}");
    }
}

#[test]
fn rounds_and_decisions_are_kept_side_by_side() {
    let path = folder();
    let mut governed = Governed::founded(path.path());
    governed.folder.metadata.keep(RUN, &Entry { begun: Some(begun()), ..Entry::default() }).expect("room");
    govern(&mut governed);
    let entry = Entry { rounds: rows([0, 1]), ..Entry::default() };
    governed.folder.metadata.keep(RUN, &entry).expect("room for rounds");
    governed.lives_on_in(path.path());
    assert!(unfinished(path.path()).expect("whole state").is_some());
}
