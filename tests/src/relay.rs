//! A TCP relay that does to connections what bad networks do: it delays, falls silent without closing, cuts, and forgets
//! idle connections as proxies do.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use syngrad_engine::random::{Purpose, Stream};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep_until};

/// Bytes that are passed on at once.
const CHUNK: usize = 16 << 10;
/// Chunks that are on their way in one direction of one connection.
const IN_FLIGHT: usize = 256;

/// What a relay is like all the time.
#[derive(Clone, Copy, Debug, Default)]
pub struct Nature {
    /// How long each chunk takes, in each direction.
    pub delay: Duration,
    /// How much longer it may take; chunks keep their order.
    pub jitter: Duration,
    /// A connection over which nothing went for so long is cut.
    pub idle: Option<Duration>,
}

/// From whom to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From whoever connected to the target.
    Up,
    /// From the target to whoever connected.
    Down,
}

/// What was done to connections: each one obeys what was ordered after it was made.
#[derive(Clone, Copy, Debug, Default)]
struct Orders {
    cuts: u64,
    silenced_up: u64,
    silenced_down: u64,
    refusing: bool,
}

impl Orders {
    fn silenced(&self, direction: Direction) -> u64 {
        match direction {
            Direction::Up => self.silenced_up,
            Direction::Down => self.silenced_down,
        }
    }
}

/// What went through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Connections accepted.
    pub connections: u64,
    /// Connections cut because nothing went over them.
    pub idle_cuts: u64,
    /// Chunks passed on to the target.
    pub up: u64,
    /// Chunks passed on from the target.
    pub down: u64,
}

/// See the module. It ends when it is dropped, and with it all of its connections.
#[derive(Debug)]
pub struct Relay {
    address: String,
    orders: watch::Sender<Orders>,
    traffic: watch::Receiver<Traffic>,
    accepting: AbortHandle,
}

/// What all connections of a relay share.
#[derive(Clone, Debug)]
struct Shared {
    target: Arc<str>,
    nature: Nature,
    orders: watch::Receiver<Orders>,
    traffic: Arc<watch::Sender<Traffic>>,
}

impl Relay {
    /// Listens on `listen`, and connects to `target` whenever someone connects.
    ///
    /// # Errors
    /// If it cannot listen.
    pub async fn start(listen: &str, target: &str, nature: Nature) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?.to_string();
        let (orders, obeyed) = watch::channel(Orders::default());
        let (seen, traffic) = watch::channel(Traffic::default());
        let shared = Shared { target: target.into(), nature, orders: obeyed, traffic: Arc::new(seen) };
        let accepting = tokio::spawn(accept(listener, shared)).abort_handle();
        Ok(Self { address, orders, traffic, accepting })
    }

    /// A relay on a free port of this machine.
    ///
    /// # Panics
    /// If it cannot listen.
    pub async fn before(target: &str, nature: Nature) -> Self {
        Self::start("127.0.0.1:0", target, nature).await.expect("a port is free")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Closes all connections that there are.
    pub fn cut(&self) {
        self.orders.send_modify(|orders| orders.cuts += 1);
    }

    /// Passes nothing on any more over the connections that there are, in this direction, and closes none of them.
    pub fn silence(&self, direction: Direction) {
        self.orders.send_modify(|orders| match direction {
            Direction::Up => orders.silenced_up += 1,
            Direction::Down => orders.silenced_down += 1,
        });
    }

    /// Cuts all connections, and closes each new one at once, until it is called with `false`.
    pub fn refuse(&self, refusing: bool) {
        self.orders.send_modify(|orders| {
            orders.refusing = refusing;
            orders.cuts += u64::from(refusing);
        });
    }

    /// What went through so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        *self.traffic.borrow()
    }

    /// Waits until `enough` has gone through.
    ///
    /// # Panics
    /// If the relay is gone.
    pub async fn carried(&mut self, enough: impl FnMut(&Traffic) -> bool) -> Traffic {
        *self.traffic.wait_for(enough).await.expect("the relay works as long as it is held")
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Shared) {
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        while connections.try_join_next().is_some() {}
        shared.traffic.send_modify(|traffic| traffic.connections += 1);
        let orders = *shared.orders.borrow();
        if !orders.refusing {
            connections.spawn(carry(client, shared.clone(), orders));
        }
    }
}

/// One connection, up to its end; `made` is what had been ordered before.
async fn carry(client: TcpStream, shared: Shared, made: Orders) {
    let Ok(server) = TcpStream::connect(&*shared.target).await else { return };
    // Small messages must not wait for each other here.
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let (last, moved) = watch::channel(Instant::now());
    let last = Arc::new(last);
    let mut orders = shared.orders.clone();
    tokio::select! {
        // One end is gone, and so the other has nobody to talk to.
        _ = pass(from_client, to_server, (Direction::Up, made), &shared, &last) => {}
        _ = pass(from_server, to_client, (Direction::Down, made), &shared, &last) => {}
        _ = orders.wait_for(|orders| orders.cuts > made.cuts) => {}
        () = idle(moved, shared.nature.idle) => shared.traffic.send_modify(|traffic| traffic.idle_cuts += 1),
    }
}

/// Done when nothing has moved for so long.
async fn idle(moved: watch::Receiver<Instant>, limit: Option<Duration>) {
    let Some(limit) = limit else { return std::future::pending().await };
    loop {
        let end = *moved.borrow() + limit;
        if end <= Instant::now() {
            return;
        }
        sleep_until(end).await;
    }
}

async fn pass(
    mut from: impl AsyncRead + Unpin,
    to: impl AsyncWrite + Unpin,
    (direction, made): (Direction, Orders),
    shared: &Shared,
    last: &watch::Sender<Instant>,
) -> io::Result<()> {
    let (chunks, due) = mpsc::channel(IN_FLIGHT);
    let mut drawn = Stream::new(shared.traffic.borrow().connections, Purpose::Simulation, &[direction as u64]);
    let mut orders = shared.orders.clone();
    let reading = async move {
        let mut arrives = Instant::now();
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = tokio::select! {
                biased;
                _ = orders.wait_for(|orders| orders.silenced(direction) > made.silenced(direction)) => None,
                read = from.read(&mut chunk) => Some(read?),
            };
            let Some(read) = read else { return std::future::pending().await };
            chunk.truncate(read);
            let extra = shared.nature.jitter.mul_f32(drawn.unit_f32());
            arrives = arrives.max(Instant::now() + shared.nature.delay + extra);
            if read == 0 || chunks.send((arrives, chunk)).await.is_err() {
                return Ok(());
            }
        }
    };
    tokio::try_join!(reading, write(due, to, direction, shared, last)).map(|((), ())| ())
}

async fn write(
    mut due: mpsc::Receiver<(Instant, Vec<u8>)>,
    mut to: impl AsyncWrite + Unpin,
    direction: Direction,
    shared: &Shared,
    last: &watch::Sender<Instant>,
) -> io::Result<()> {
    while let Some((arrives, chunk)) = due.recv().await {
        sleep_until(arrives).await;
        to.write_all(&chunk).await?;
        last.send_replace(Instant::now());
        shared.traffic.send_modify(|traffic| match direction {
            Direction::Up => traffic.up += 1,
            Direction::Down => traffic.down += 1,
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A listener that sends everything back, and its address.
    async fn echo() -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it listens").to_string();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.split();
                    let _ = tokio::io::copy(&mut from, &mut to).await;
                });
            }
        });
        address
    }

    async fn echoes(stream: &mut TcpStream, word: &[u8]) {
        stream.write_all(word).await.expect("the relay takes it");
        let mut back = vec![0; word.len()];
        stream.read_exact(&mut back).await.expect("it comes back");
        assert_eq!(back, word);
    }

    #[tokio::test]
    async fn what_goes_in_comes_out_later() {
        let (delay, jitter) = (Duration::from_millis(20), Duration::from_millis(10));
        let relay = Relay::before(&echo().await, Nature { delay, jitter, idle: None }).await;
        let mut stream = TcpStream::connect(relay.address()).await.expect("it listens");
        let began = Instant::now();
        echoes(&mut stream, b"there and back").await;
        assert!(began.elapsed() >= 2 * delay);
    }

    #[tokio::test]
    async fn an_idle_connection_is_cut_and_a_busy_one_is_not() {
        let idle = Duration::from_millis(300);
        let mut relay = Relay::before(&echo().await, Nature { idle: Some(idle), ..Nature::default() }).await;
        let mut stream = TcpStream::connect(relay.address()).await.expect("it listens");
        let began = Instant::now();
        while began.elapsed() < 2 * idle {
            echoes(&mut stream, b"still here").await;
        }
        assert_eq!(relay.traffic().idle_cuts, 0);
        relay.carried(|traffic| traffic.idle_cuts == 1).await;
        assert_eq!(stream.read(&mut [0]).await.expect("an end in order"), 0);
    }

    #[tokio::test]
    async fn a_cut_ends_connections_and_a_refusal_also_new_ones() {
        let relay = Relay::before(&echo().await, Nature::default()).await;
        let mut first = TcpStream::connect(relay.address()).await.expect("it listens");
        echoes(&mut first, b"one").await;
        relay.refuse(true);
        assert!(matches!(first.read(&mut [0]).await, Ok(0) | Err(_)));
        let mut second = TcpStream::connect(relay.address()).await.expect("it listens");
        assert!(matches!(second.read(&mut [0]).await, Ok(0) | Err(_)));
        relay.refuse(false);
        let mut third = TcpStream::connect(relay.address()).await.expect("it listens");
        echoes(&mut third, b"three").await;
    }

    #[tokio::test]
    async fn silence_closes_nothing_and_new_connections_work() {
        let mut relay = Relay::before(&echo().await, Nature::default()).await;
        let mut old = TcpStream::connect(relay.address()).await.expect("it listens");
        echoes(&mut old, b"one").await;
        relay.silence(Direction::Down);
        old.write_all(b"two").await.expect("the way up is open");
        relay.carried(|traffic| traffic.up == 2).await;
        let mut new = TcpStream::connect(relay.address()).await.expect("it listens");
        echoes(&mut new, b"three").await;
        assert_eq!(old.try_read(&mut [0]).expect_err("nothing").kind(), io::ErrorKind::WouldBlock);
    }
}
