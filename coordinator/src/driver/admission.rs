//! Who may sit down, by what its certificate says and what was decided of it; and who has to get up.

use std::collections::BTreeMap;

use syngrad_common::wire::Hello;
use syngrad_common::{Code, Failure};
use syngrad_engine::consortium::{Bar, Refusal};
use syngrad_engine::session::Retry;
use syngrad_engine::{PartnerName, Principal};

use super::{Driver, Reply};
use crate::access::{Caller, serial};
use crate::roster::SessionId;

impl Driver {
    /// Whether a worker that says hello is who its certificate says, its partner takes part, and there is room for one
    /// more of it. Asked here and not before: what was decided meanwhile comes after this or counts in it.
    pub(super) fn admit(&self, caller: &Caller, hello: &Hello) -> Result<(), (Failure, Retry)> {
        let never = |code, why: String| Err((Failure::new(code, why), Retry::Never));
        let (principal, serial) = match caller {
            Caller::Insecure => return Ok(()),
            Caller::Anonymous => return never(Code::RoleNotAllowed, "a worker needs a certificate".to_owned()),
            Caller::Known(identity) => (&identity.principal, serial(&identity.certificate)),
        };
        let said = Principal::Worker { partner: hello.partner.clone(), worker: hello.worker };
        if *principal != said {
            return never(
                Code::IdentityDiffers,
                format!("the worker says it is {said}, and its certificate is {principal}'s"),
            );
        }
        self.standing.standing(principal, serial).map_err(|why| refusal(&why))?;
        let Some(most) = self.standing.max_workers(&hello.partner) else { return Ok(()) };
        let others =
            self.roster.iter().filter(|(_, seat)| seat.partner == hello.partner && seat.worker != hello.worker);
        match others.count() >= most as usize {
            true => {
                let why = format!("partner {} has {most} workers connected, as many as it may", hello.partner);
                Err((Failure::new(Code::TooManyWorkers, why), Retry::Later))
            }
            false => Ok(()),
        }
    }

    /// Somebody may not take part any more: its sessions end at once, and others get its leases.
    pub(super) fn barred(&mut self, bar: &Bar) {
        let is_meant =
            |partner: &PartnerName, worker| bar.whom.is(&Principal::Worker { partner: partner.clone(), worker });
        let sessions = self.roster.iter().filter(|(_, seat)| is_meant(&seat.partner, seat.worker));
        let sessions: Vec<SessionId> = sessions.map(|(session, _)| session).collect();
        for session in sessions {
            let (failure, retry) = refusal(&bar.why);
            self.refuse_seated(session, failure, retry);
        }
    }

    pub(super) fn count_workers(&self, reply: Reply<BTreeMap<PartnerName, u32>>) {
        let mut counts = BTreeMap::new();
        for (_, seat) in self.roster.iter() {
            *counts.entry(seat.partner.clone()).or_insert(0) += 1;
        }
        // Whoever asked may be gone.
        let _ = reply.send(Ok(counts));
    }
}

/// What a worker is told, and whether it may come back.
fn refusal(why: &Refusal) -> (Failure, Retry) {
    let retry = if why.may_pass() { Retry::Later } else { Retry::Never };
    (why.into(), retry)
}
