//! The thread that writes: orders of the real [`Keeping`](crate::keeping::Keeping), in the steps of the real [`Writing`].

use std::collections::VecDeque;
use std::time::Duration;

use super::breach::Breach;
use super::disk::{Bulk, Entry, Remains};
use super::world::{Happening, World};
use crate::digest::Digest;
use crate::id::Time;
use crate::keeping::{Contents, Epoch, Event, Setback, Step, Trouble, Writing};

struct Order {
    entry: Entry,
    bulk: Option<Bulk>,
}

/// The keeper of one coordinator, which outlives it if that is only taken for dead.
pub(super) struct Keeper {
    orders: VecDeque<Order>,
    /// How far the first order is.
    writing: Option<Writing>,
    /// Blobs that may have lost their name.
    unnamed: Vec<Digest>,
    /// Whether the step that is next has begun.
    under_way: bool,
    /// It does nothing until then.
    pub(super) stalled_until: Time,
}

impl Keeper {
    pub(super) fn new() -> Self {
        Self { orders: VecDeque::new(), writing: None, unnamed: Vec::new(), under_way: false, stalled_until: Time(0) }
    }

    pub(super) fn is_busy(&self) -> bool {
        !self.orders.is_empty()
    }
}

impl World {
    /// Orders something of the keeper of `epoch`.
    pub(super) fn order(&mut self, epoch: Epoch, entry: Entry, bulk: Option<Bulk>) -> Result<(), Breach> {
        let Some(keeper) = self.keepers.get_mut(&epoch) else { return Ok(()) };
        keeper.orders.push_back(Order { entry, bulk });
        self.take_up(epoch)
    }

    /// Begins the oldest order.
    fn take_up(&mut self, epoch: Epoch) -> Result<(), Breach> {
        let idle = |keeper: &&mut Keeper| keeper.writing.is_none();
        let Some(keeper) = self.keepers.get_mut(&epoch).filter(idle) else { return Ok(()) };
        let Some(order) = keeper.orders.front() else { return Ok(()) };
        let contents = match &order.bulk {
            None => Contents::Rows,
            Some(Bulk::Update(_)) => Contents::Update,
            Some(Bulk::State(_)) => Contents::Whole,
        };
        keeper.writing = Some(Writing::new(contents).with_bug(self.bug));
        self.write(epoch)
    }

    /// Begins the step that is next, or reports that the order is kept.
    pub(super) fn write(&mut self, epoch: Epoch) -> Result<(), Breach> {
        let Some(keeper) = self.keepers.get_mut(&epoch) else { return Ok(()) };
        let Some(writing) = keeper.writing else { return Ok(()) };
        keeper.under_way = writing.next().is_some();
        match writing.next() {
            Some(_) => {
                let takes = self.dice.pick(&[(50, 800), (50, 800), (50, 800), (2_000, 60_000), (50_000, 400_000)]);
                let takes = self.dice.micros(takes.0, takes.1);
                self.schedule(takes, Happening::Written { epoch });
                Ok(())
            }
            None => {
                if let Some(keeper) = self.keepers.get_mut(&epoch) {
                    keeper.writing = None;
                    keeper.orders.pop_front();
                }
                self.tell_coordinator(epoch, Event::Kept)?;
                self.take_up(epoch)
            }
        }
    }

    /// The step that was begun is through, for better or worse.
    pub(super) fn written(&mut self, epoch: Epoch) -> Result<(), Breach> {
        let Some(keeper) = self.keepers.get(&epoch) else { return Ok(()) };
        if self.now < keeper.stalled_until {
            let wakes = keeper.stalled_until;
            self.schedule_at(wakes, Happening::Written { epoch });
            return Ok(());
        }
        self.keepers.entry(epoch).and_modify(|keeper| keeper.under_way = false);
        if self.now < self.disk.full_until {
            return self.fails(epoch, Trouble::Full);
        }
        if self.disk.breaks > 0 {
            self.disk.breaks -= 1;
            self.totals.io_errors += 1;
            let remains = Remains::draw(&mut self.dice);
            self.leave_behind(epoch, remains)?;
            return self.fails(epoch, Trouble::Broken);
        }
        if self.leave_behind(epoch, Remains::All)? == Kept::Fenced {
            self.totals.fenced += 1;
            return self.fails(epoch, Trouble::Broken);
        }
        if let Some(writing) = self.keepers.get_mut(&epoch).and_then(|keeper| keeper.writing.as_mut()) {
            writing.done();
        }
        self.write(epoch)
    }

    /// What is on the disk after the step under way: all of what it does, a part, or nothing.
    fn leave_behind(&mut self, epoch: Epoch, remains: Remains) -> Result<Kept, Breach> {
        let Some(keeper) = self.keepers.get_mut(&epoch) else { return Ok(Kept::Yes) };
        let (Some(order), Some(writing)) = (keeper.orders.front_mut(), keeper.writing) else { return Ok(Kept::Yes) };
        match (writing.next(), &order.bulk) {
            (Some(Step::Blob), Some(bulk)) => {
                keeper.unnamed = self.disk.named();
                keeper.unnamed.push(bulk.digest());
                self.disk.put(bulk.clone(), remains);
            }
            (Some(Step::Rows), bulk) if remains == Remains::All => {
                match bulk {
                    Some(Bulk::State(state)) => order.entry.checkpoint = Some((state.round, state.digest())),
                    Some(bulk @ Bulk::Update(update)) => {
                        let first = update.units.first().copied().unwrap_or_default();
                        order.entry.spooled = Some(((update.round, first), bulk.digest()));
                    }
                    None => {}
                }
                let entry = order.entry.clone();
                let kept = self.disk.keep(epoch, &entry);
                self.trace(|| format!("disk <- {entry:?} of epoch {}: {kept:?}", epoch.0));
                if kept.is_err() {
                    return Ok(Kept::Fenced);
                }
                if epoch != self.disk.newest() {
                    return Err(Breach::ZombieWrote);
                }
                self.notary.kept(&entry, &self.disk)?;
                if let Some(outcome) = entry.ended {
                    self.finished = Some(outcome);
                }
            }
            (Some(Step::Sweep), _) if remains == Remains::All => {
                let unnamed = std::mem::take(&mut keeper.unnamed);
                self.disk.sweep(unnamed);
            }
            (Some(Step::Blob | Step::Rows | Step::Sweep) | None, _) => {}
        }
        Ok(Kept::Yes)
    }

    fn fails(&mut self, epoch: Epoch, trouble: Trouble) -> Result<(), Breach> {
        let Some(writing) = self.keepers.get(&epoch).and_then(|keeper| keeper.writing) else { return Ok(()) };
        self.trace(|| format!("disk: {trouble:?} for epoch {}", epoch.0));
        match writing.failed(trouble) {
            Setback::Again(after) => {
                self.schedule(after, Happening::WritesAgain { epoch });
                self.tell_coordinator(epoch, Event::Delayed { why: "the disk is full".to_owned() })
            }
            Setback::Final if trouble == Trouble::Full => Err(Breach::GaveUpNeedlessly),
            Setback::Final => {
                self.tell_coordinator(epoch, Event::Lost)?;
                self.keepers.remove(&epoch);
                Ok(())
            }
        }
    }

    fn tell_coordinator(&mut self, epoch: Epoch, event: Event) -> Result<(), Breach> {
        match self.coordinator.is_up() && self.coordinator.epoch == epoch {
            true => self.keep(event),
            false => Ok(()),
        }
    }

    /// A coordinator ends in the middle of things; its keeper does too, or goes on writing when nobody expects it.
    pub(super) fn abandon_keeper(&mut self, epoch: Epoch, late: Option<Duration>) -> Result<(), Breach> {
        match late {
            Some(late) => {
                let until = self.now.after(late);
                self.keepers.entry(epoch).and_modify(|keeper| keeper.stalled_until = until);
                Ok(())
            }
            None => {
                let remains = Remains::draw(&mut self.dice);
                let under_way = self.keepers.get(&epoch).filter(|keeper| keeper.under_way);
                if let Some(step) = under_way.and_then(|keeper| keeper.writing?.next()) {
                    self.totals.torn_blobs += u64::from(step == Step::Blob && remains == Remains::Part);
                    self.totals.lost_writes += u64::from(remains != Remains::All);
                    self.trace(|| format!("disk: {step:?} under way, {remains:?} of it is left"));
                    self.leave_behind(epoch, remains)?;
                }
                self.keepers.remove(&epoch);
                Ok(())
            }
        }
    }
}

/// Whether rows were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    Yes,
    Fenced,
}
