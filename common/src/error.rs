//! Stable error codes: the same on the command line, in `google.rpc.ErrorInfo` and in `syngrad explain`.
//!
//! A code's title and its next step are those of its page under `docs/errors/`, so that there is one text only.

mod origin;

use std::fmt;

/// What kind of end an error makes of a command; its number is the exit status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Exit {
    /// The operation failed.
    Failed = 1,
    /// The command was not understood.
    Usage = 2,
    /// The other side could not be reached.
    Unreachable = 3,
    /// It is not allowed.
    NotAllowed = 4,
    /// It took too long.
    TimedOut = 5,
    /// It conflicts with something that is there, or is not there.
    Conflict = 6,
    /// A defect of this program.
    Bug = 70,
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $exit:ident;)*) => {
        /// A stable error code. Its number is never given to anything else.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code {
            $($(#[$doc])* $name,)*
        }

        impl Code {
            /// Every code, in order.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as text, such as `E0101`.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $text,)*
                }
            }

            /// What kind of end it makes of a command.
            #[must_use]
            pub fn exit(self) -> Exit {
                match self {
                    $(Self::$name => Exit::$exit,)*
                }
            }

            /// Its page: what happened, why, and what to do, in Markdown.
            #[must_use]
            pub fn page(self) -> &'static str {
                match self {
                    $(Self::$name => include_str!(concat!("../../docs/errors/", $text, ".md")),)*
                }
            }
        }
    };
}

codes! {
    /// The coordinator cannot be reached.
    Unreachable = "E0101", Unreachable;
    /// An unprotected connection would leave this machine.
    InsecureAddress = "E0102", NotAllowed;
    /// The two sides speak no common protocol.
    ProtocolVersion = "E0103", Conflict;
    /// A session did not begin with a proper Hello.
    BadHandshake = "E0104", Failed;
    /// Another live worker has the same identity.
    IdentityInUse = "E0105", Conflict;
    /// No Hello, or no answer to it, in time.
    HandshakeTimeout = "E0106", TimedOut;
    /// Nothing was heard from the other side for too long.
    Silent = "E0107", TimedOut;
    /// The other side does not take what is sent to it.
    Stalled = "E0108", TimedOut;
    /// The coordinator is stopping.
    ShuttingDown = "E0109", Unreachable;
    /// The coordinator has as many sessions as it takes.
    TooManySessions = "E0110", Failed;
    /// The address cannot be listened on.
    CannotListen = "E0111", Conflict;
    /// A message has a field that is not what it must be.
    BadMessage = "E0112", Failed;
    /// A message that is not allowed at this point.
    UnexpectedMessage = "E0113", Failed;
    /// The session's token does not allow this.
    NotAuthorized = "E0114", NotAllowed;
    /// An address cannot be read.
    BadAddress = "E0115", Usage;
    /// The connection ended in the middle.
    ConnectionLost = "E0116", Unreachable;

    /// A run spec is not well-formed.
    SpecSyntax = "E0201", Usage;
    /// A run spec has a key that does not exist.
    SpecUnknownKey = "E0202", Usage;
    /// A value of a run spec is out of its range.
    SpecValue = "E0203", Usage;
    /// A run spec does not fit its data.
    SpecData = "E0204", Usage;
    /// Another run is active.
    RunActive = "E0205", Conflict;
    /// There is no such run.
    RunNotFound = "E0206", Conflict;
    /// The run is over.
    RunOver = "E0207", Conflict;
    /// The run could not be brought to its end.
    RunFailed = "E0208", Failed;
    /// The run ended below its target.
    TargetMissed = "E0209", Failed;
    /// The two sides read the run spec differently.
    SpecDiffers = "E0210", Conflict;
    /// The two sides build different models from the same spec.
    LayoutDiffers = "E0211", Conflict;
    /// This machine's arithmetic gives other bits than the coordinator's.
    NumericsDiffer = "E0212", NotAllowed;
    /// The worker cannot take part in the run.
    Unfit = "E0213", Failed;
    /// A partner's own samples are not those that the run counts on.
    DataDiffers = "E0214", Conflict;

    /// The worker is not a member of the run.
    NotAMember = "E0301", Conflict;
    /// The update is for a committed round.
    StaleRound = "E0302", Conflict;
    /// The update is for a round that is not open yet.
    FutureRound = "E0303", Conflict;
    /// The update's round is being committed.
    RoundClosed = "E0304", Conflict;
    /// The update's lease was not given to this worker.
    NotLeased = "E0305", Conflict;
    /// The update's units are not those of its lease.
    UnitsDiffer = "E0306", Conflict;
    /// The update's units were counted already.
    AlreadyCounted = "E0307", Conflict;
    /// The partner holds as much of the round as it may.
    PartnerFull = "E0308", Conflict;
    /// A payload is not what was announced.
    BadPayload = "E0309", Failed;
    /// A frame or payload is larger than it may be.
    PayloadTooLarge = "E0310", Failed;
    /// A payload was announced and did not come in time.
    PayloadTimeout = "E0311", TimedOut;
    /// A unit's result is not a finite number.
    NotFinite = "E0312", Failed;

    /// The dataset's files are not there.
    DataMissing = "E0401", Failed;
    /// A dataset's file is not what it must be.
    DataCorrupt = "E0402", Failed;
    /// The dataset could not be fetched.
    DataFetch = "E0403", Unreachable;
    /// No such shard is leased to this worker.
    ShardNotLeased = "E0404", Conflict;
    /// A shard arrived damaged.
    ShardCorrupt = "E0405", Failed;
    /// A picture cannot be read.
    PictureUnreadable = "E0406", Usage;

    /// There is no such model or model version.
    ModelNotFound = "E0501", Conflict;
    /// No model is being served yet.
    ModelNotReady = "E0502", Unreachable;
    /// A prediction's input is not what the model takes.
    BadInput = "E0503", Usage;
    /// A prediction's batch is over the limit.
    BatchTooLarge = "E0504", Usage;
    /// More predictions are waiting than the coordinator takes.
    Busy = "E0505", Failed;
    /// The caller's deadline passed.
    DeadlineExceeded = "E0506", TimedOut;

    /// Another coordinator has the state folder.
    StateInUse = "E0601", Conflict;
    /// The state was written by a later release.
    StateNewer = "E0602", Conflict;
    /// What is in the state folder is damaged, or not state of ours.
    StateDamaged = "E0603", Failed;
    /// The state cannot be written or read.
    StateUnwritable = "E0604", Failed;
    /// A later coordinator has taken over the state.
    Fenced = "E0605", Conflict;
    /// A round that was computed again came out differently.
    HistoryDiffers = "E0606", Failed;

    /// A text is no ticket that can be used.
    TicketUnreadable = "E1001", Usage;
    /// A ticket was good once.
    TicketExpired = "E1002", NotAllowed;
    /// The coordinator is not the one that the ticket was made for.
    WrongCoordinator = "E1003", NotAllowed;
    /// No trusted authority stands behind a certificate, or it is somebody else's.
    CertificateUntrusted = "E1004", NotAllowed;
    /// A certificate has expired, or is not good yet.
    CertificateTime = "E1005", NotAllowed;
    /// The coordinator lets this holder in no more.
    CredentialsRefused = "E1006", NotAllowed;
    /// One side protects the connection and the other does not.
    ProtectionDiffers = "E1007", Conflict;
    /// A protected connection did not come up.
    TlsFailed = "E1008", Unreachable;
    /// A private key cannot be used, or others may read it.
    KeyUnusable = "E1009", Failed;
    /// A certificate, or a file of certificates, cannot be read.
    CertificateUnreadable = "E1010", Failed;
    /// Something that was given as authority is none.
    AuthorityUnfit = "E1011", Usage;
    /// A request for a certificate is refused.
    BadCertificateRequest = "E1012", NotAllowed;
    /// Nobody has joined with this folder.
    NoCredentials = "E1013", Conflict;

    /// No such ticket was given.
    TicketUnknown = "E1101", NotAllowed;
    /// The ticket has served as many keys as it may.
    TicketUsed = "E1103", NotAllowed;
    /// An operator has withdrawn the ticket.
    TicketWithdrawn = "E1104", NotAllowed;
    /// The ticket is for another role.
    TicketMisused = "E1105", Usage;
    /// Another key is enrolled for the worker.
    WorkerTaken = "E1106", Conflict;
    /// The key speaks for somebody else, or was revoked.
    KeyTaken = "E1107", Conflict;
    /// The partner waits for an operator's approval.
    PartnerPending = "E1108", NotAllowed;
    /// The partner is suspended.
    PartnerSuspended = "E1109", NotAllowed;
    /// The partner was removed.
    PartnerRemoved = "E1110", NotAllowed;
    /// The certificate was not issued here.
    CertificateUnknown = "E1111", NotAllowed;
    /// The certificate was revoked.
    CertificateRevoked = "E1112", NotAllowed;
    /// The authority behind the certificate is not trusted any more.
    AuthorityRetired = "E1114", NotAllowed;
    /// There is no such partner, operator or client.
    HolderUnknown = "E1115", Conflict;
    /// The partner is in no state for this.
    HolderState = "E1116", Conflict;
    /// Nobody could govern any more.
    LastOperator = "E1117", Conflict;
    /// Certificates of the old authority are still good.
    AuthorityInUse = "E1118", Conflict;
    /// There are as many as there may be.
    ConsortiumFull = "E1119", Conflict;
    /// A number of an invitation is out of its range.
    InvitationRange = "E1120", Usage;
    /// A worker is not who its certificate says.
    IdentityDiffers = "E1121", NotAllowed;
    /// The partner has as many workers connected as it may.
    TooManyWorkers = "E1122", NotAllowed;
    /// The call is not open to the caller's role.
    RoleNotAllowed = "E1123", NotAllowed;
    /// The partner makes too many requests.
    TooFast = "E1124", Failed;
    /// The partner has sent too many updates that are none.
    Quarantined = "E1125", NotAllowed;
    /// The coordinator has no consortium.
    NoConsortium = "E1126", Conflict;
    /// The state folder has a consortium already.
    AlreadyFounded = "E1127", Conflict;

    /// A partner's policy file cannot be used.
    PolicyUnusable = "E1201", Usage;
    /// A partner's policy refuses a run.
    PolicyRefuses = "E1202", NotAllowed;
    /// What a partner's policy lets out is used up.
    PolicySpent = "E1203", NotAllowed;
    /// Another worker has the state folder.
    WorkerStateInUse = "E1204", Conflict;
    /// A worker's state folder cannot be used.
    WorkerStateUnusable = "E1205", Failed;
    /// No worker answers on this machine.
    NoWorker = "E1206", Unreachable;

    /// An audit has shown that an update is not what its units give.
    WrongUpdate = "E1501", NotAllowed;

    /// A defect of this program.
    Internal = "E0900", Bug;
    /// A command line that cannot be read.
    Usage = "E0901", Usage;
    /// The device was not built in, or cannot be used.
    DeviceUnavailable = "E0902", Usage;
    /// A file or stream of this machine cannot be read or written.
    LocalFile = "E0903", Failed;
    /// A child process ended or misbehaved.
    ProcessFailed = "E0904", Failed;
    /// `doctor` found something that does not work.
    ChecksFailed = "E0905", Failed;
    /// Someone interrupted the command.
    Interrupted = "E0906", Failed;
    /// A measurement is not what was asked for.
    BarMissed = "E0907", Failed;
    /// An update is not signed by its worker's key.
    BadSignature = "E1301", Failed;
    /// An update was computed from other params than the round's.
    OtherParams = "E1302", Conflict;
    /// A head of the log is not signed by the log's key.
    LogForged = "E1303", NotAllowed;
    /// The log that is shown does not go on from the one that was shown before.
    LogForked = "E1304", NotAllowed;
    /// A record of the log is not one of the run.
    RecordForeign = "E1305", NotAllowed;
    /// The params that were sent are not those of the log.
    ParamsServedDiffer = "E1306", NotAllowed;
    /// An accepted update is not in its round's record.
    ContributionMissing = "E1307", NotAllowed;
    /// An update is in the log otherwise than it was sent.
    ContributionChanged = "E1308", NotAllowed;
    /// An update counts twice.
    CountedTwice = "E1309", NotAllowed;
    /// Records of committed rounds are not shown.
    ReceiptsWithheld = "E1310", NotAllowed;
    /// An archive cannot be read.
    ArchiveUnreadable = "E1311", Failed;
    /// An archive is not what it says.
    ArchiveWrong = "E1312", Failed;
    /// The run has no receipts.
    NoReceipts = "E1313", Conflict;
    /// A code of a newer release.
    Unlisted = "E0999", Failed;
}

impl Code {
    /// The code that `text` names, in either case.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str().eq_ignore_ascii_case(text))
    }

    /// What happened, in a few words: the first line of its page.
    #[must_use]
    pub fn title(self) -> &'static str {
        let heading = self.page().lines().next().unwrap_or_default();
        heading.split_once(": ").map_or(heading, |(_, title)| title)
    }

    /// What to do about it: the last section of its page.
    #[must_use]
    pub fn next_step(self) -> &'static str {
        self.page().split_once(NEXT_STEP).map_or("", |(_, section)| section.trim())
    }
}

/// The heading of the section of a page that says what to do.
const NEXT_STEP: &str = "\n## What to do\n";

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An error at the edge of the program: a code, and what happened this time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The code.
    pub code: Code,
    /// What happened, where, in words.
    pub message: String,
}

impl Failure {
    /// A failure with `code`.
    #[must_use]
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

#[cfg(test)]
mod tests;
