//! Every limit of a connection, named once.

use std::time::Duration;

use syngrad_engine::layout::MAX_PARAMS;

/// The lowest protocol number that this build speaks.
pub const PROTOCOL_MIN: u32 = 1;
/// The highest protocol number that this build speaks.
pub const PROTOCOL_MAX: u32 = 1;

/// Bytes of params or of an update in one frame.
pub const MAX_FRAME: usize = 1 << 20;
/// The largest message that is decoded, on either side: a frame and its envelope, or a run spec.
pub const MAX_MESSAGE: usize = 4 << 20;
/// The largest payload: all params of the largest model.
pub const MAX_PAYLOAD: u64 = MAX_PARAMS as u64 * 4;
/// The largest encoded shard: a million images of MNIST's size.
pub const MAX_SHARD: u64 = 1 << 30;
/// The longest run spec, in bytes of text.
pub const MAX_SPEC: usize = 64 << 10;
/// The most hashes of one proof: a tree has no more levels than its size has bits.
pub const MAX_PATH: usize = 64;
/// The longest path of a file in an archive.
pub const MAX_PATH_TEXT: usize = 256;
/// The longest policy file, in bytes.
pub const MAX_POLICY: usize = 64 << 10;
/// The longest text that is meant for people, in bytes.
pub const MAX_TEXT: usize = 1024;

/// HTTP/2 flow-control window of a stream: a few frames ahead of the reader.
pub const STREAM_WINDOW: u32 = 16 << 20;
/// HTTP/2 flow-control window of a connection.
pub const CONNECTION_WINDOW: u32 = 32 << 20;
/// HTTP/2 frame size: a message is passed on in one part where it can be. Smaller frames wake the reader more often.
pub const HTTP2_FRAME: u32 = 1 << 20;
/// Open streams of one connection.
pub const MAX_STREAMS: u32 = 64;
/// Streams of one connection that were reset, by either side, and are not forgotten yet; more, and it is closed.
pub const MAX_RESET_STREAMS: usize = 64;
/// Headers of one request, in bytes.
pub const MAX_HEADERS: u32 = 16 << 10;
/// Time between HTTP/2 pings on an idle connection: proxies forget one after 60 s.
pub const KEEP_ALIVE: Duration = Duration::from_secs(20);
/// Time in which an HTTP/2 ping must be answered.
pub const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);
/// Time in which a connection must come up.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Connections of one coordinator.
pub const MAX_CONNECTIONS: usize = 4096;
/// Connections of one address that have shown no certificate: protected ones that come up, or stay anonymous.
pub const MAX_CONNECTIONS_UNKNOWN: usize = 64;
/// Connections of one worker: its session, and calls beside it.
pub const MAX_CONNECTIONS_WORKER: usize = 4;
/// Connections of one operator.
pub const MAX_CONNECTIONS_OPERATOR: usize = 16;
/// Connections of one client, which may be many programs.
pub const MAX_CONNECTIONS_CLIENT: usize = 256;
/// Connections that come up at once; with more, the one that takes longest is given up.
pub const MAX_TLS_HANDSHAKES: usize = 256;
/// Time in which a protected connection must come up.
pub const TLS_HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a connection may stay that has shown no certificate: joining takes less.
pub const ANONYMOUS_LIFE: Duration = Duration::from_secs(60);

/// Time in which a new session must say a whole Hello, and in which it must be answered.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time in which an announced payload must be complete.
pub const PAYLOAD_TIMEOUT: Duration = Duration::from_secs(60);
/// Each side of a session says something at least this often.
pub const HEARTBEAT: Duration = Duration::from_secs(5);
/// Silence after which the other side of a session counts as dead.
pub const SILENCE: Duration = Duration::from_secs(20);
/// The longest silence that a worker lets a coordinator ask for.
pub const MAX_SILENCE: Duration = Duration::from_secs(3600);

/// Messages waiting to be sent on one session; more, and the other side counts as stalled.
pub const OUTBOX: usize = 64;
/// Messages waiting for the coordinator's driver, of all sessions together.
pub const DRIVER_QUEUE: usize = 1024;
/// Messages that have arrived at a worker and wait for it.
pub const INBOX: usize = 16;
/// Bytes of updates that a coordinator holds because they are under audit; an update that does not fit is not audited.
/// One is always held.
pub const AUDIT_MEMORY: u64 = 64 << 20;
/// Sessions of one coordinator.
pub const MAX_SESSIONS: usize = 1024;

/// Requests that all workers of one partner together may make a second, over time.
pub const PARTNER_REQUESTS_PER_SECOND: u64 = 1024;
/// Requests that they may make at once: every worker fetches the shards of its units when a run begins.
pub const PARTNER_REQUESTS: u64 = 8192;
/// Bytes of updates that all workers of one partner together may send a second, over time: more than a network carries.
pub const PARTNER_BYTES_PER_SECOND: u64 = 1 << 30;
/// Bytes of updates that they may send at once.
pub const PARTNER_BYTES: u64 = 4 << 30;
/// Administrative requests that wait for their turn.
pub const GOVERNANCE_QUEUE: usize = 256;
/// The longest reason for an administrative act, in bytes.
pub const MAX_REASON: usize = 512;
