//! Links between workers and the coordinator, and what they carry.

use std::collections::BTreeMap;

use super::dice::Dice;
use crate::id::{LeaseId, PartnerName, RunId, Time, WorkerId};
use crate::run::UpdateHeader;
use crate::session::{Answer, Retry, Task};

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkId(pub(super) u64);

/// From a worker to the coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Up {
    Hello { identity: WorkerId, partner: PartnerName, resume: Option<LinkId> },
    Ready { run: RunId, milli_units_per_second: u64 },
    Update { header: UpdateHeader, sum: u64 },
    Heartbeat,
    Declined,
    Leave,
}

/// From the coordinator to a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Down {
    Welcome,
    Refused { why: String, retry: Retry },
    RunOpened { run: RunId },
    Leased(Task),
    Answer { lease: LeaseId, answer: Answer },
    RunClosed { run: RunId, how: String },
    Heartbeat,
}

/// How messages of a link keep their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// As on a TCP stream.
    Streams,
    /// Not at all, and some come twice, to show that nothing relies on a stream.
    Disordered,
}

impl Order {
    /// The order that a kind of message needs: a handshake is one, the rest need not be.
    fn of_up(self, message: &Up) -> Self {
        match message {
            Up::Hello { .. } | Up::Ready { .. } | Up::Declined | Up::Leave => Self::Streams,
            Up::Update { .. } | Up::Heartbeat => self,
        }
    }

    fn of_down(self, message: &Down) -> Self {
        match message {
            Down::Welcome | Down::Refused { .. } | Down::RunOpened { .. } | Down::RunClosed { .. } => Self::Streams,
            Down::Leased(_) | Down::Answer { .. } | Down::Heartbeat => self,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

pub(super) struct Link {
    pub(super) worker: usize,
    /// The life of the worker's process that the link belongs to.
    pub(super) life: u32,
    is_cut: bool,
    last_up: Time,
    last_down: Time,
}

pub(super) struct Network {
    links: BTreeMap<LinkId, Link>,
    order: Order,
    delay: (u64, u64),
}

impl Network {
    pub(super) fn new(order: Order, delay: (u64, u64)) -> Self {
        Self { links: BTreeMap::new(), order, delay }
    }

    pub(super) fn connect(&mut self, worker: usize, life: u32) -> LinkId {
        let id = LinkId(self.links.len() as u64);
        let link = Link { worker, life, is_cut: false, last_up: Time(0), last_down: Time(0) };
        self.links.insert(id, link);
        id
    }

    pub(super) fn cut(&mut self, link: LinkId) {
        if let Some(link) = self.links.get_mut(&link) {
            link.is_cut = true;
        }
    }

    /// The other end of every link dies.
    pub(super) fn cut_all(&mut self) -> Vec<LinkId> {
        let live = self.links.iter_mut().filter(|(_, link)| !link.is_cut);
        live.map(|(id, link)| {
            link.is_cut = true;
            *id
        })
        .collect()
    }

    pub(super) fn is_cut(&self, link: LinkId) -> bool {
        self.links.get(&link).is_none_or(|link| link.is_cut)
    }

    /// The worker's process at one end.
    pub(super) fn link(&self, link: LinkId) -> &Link {
        &self.links[&link]
    }

    /// When a message to the coordinator that is sent now arrives: never, once or twice.
    pub(super) fn up(&mut self, dice: &mut Dice, now: Time, link: LinkId, message: &Up) -> Vec<Time> {
        self.arrivals(dice, now, link, Direction::Up, self.order.of_up(message))
    }

    /// The same for a message to the worker.
    pub(super) fn down(&mut self, dice: &mut Dice, now: Time, link: LinkId, message: &Down) -> Vec<Time> {
        self.arrivals(dice, now, link, Direction::Down, self.order.of_down(message))
    }

    /// When the coordinator sees that the worker has closed the link: after all that was sent.
    pub(super) fn end_up(&mut self, dice: &mut Dice, now: Time, link: LinkId) -> Vec<Time> {
        self.arrivals(dice, now, link, Direction::Up, Order::Streams)
    }

    /// When the worker sees that the coordinator has closed the link.
    pub(super) fn end_down(&mut self, dice: &mut Dice, now: Time, link: LinkId) -> Vec<Time> {
        self.arrivals(dice, now, link, Direction::Down, Order::Streams)
    }

    fn arrivals(&mut self, dice: &mut Dice, now: Time, link: LinkId, way: Direction, order: Order) -> Vec<Time> {
        let Some(link) = self.links.get_mut(&link).filter(|link| !link.is_cut) else { return Vec::new() };
        let (least, most) = self.delay;
        let mut at = now.after(dice.micros(least, most));
        match order {
            Order::Streams => {
                let last = match way {
                    Direction::Up => &mut link.last_up,
                    Direction::Down => &mut link.last_down,
                };
                at = at.max(Time(last.0 + 1));
                *last = at;
                vec![at]
            }
            Order::Disordered if dice.percent(8) => vec![at, at.after(dice.micros(0, 20 * most))],
            Order::Disordered => vec![at],
        }
    }
}
