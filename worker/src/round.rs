//! The params of the open round, on their way in and complete.

use std::sync::Arc;

use syngrad_common::codec::ParamsAssembler;
use syngrad_common::wire::RoundOpened;
use syngrad_common::{Code, Failure};
use syngrad_engine::quantize::{Grid, limit};
use syngrad_engine::{Digest, Layout, Round, RunId};

/// A round whose params are here.
#[derive(Clone, Debug)]
pub(crate) struct Open {
    pub(crate) run: RunId,
    pub(crate) round: Round,
    pub(crate) digest: Digest,
    pub(crate) grid: Arc<Grid>,
    pub(crate) params: Arc<Vec<f32>>,
}

#[derive(Debug)]
struct Intake {
    run: RunId,
    round: Round,
    digest: Digest,
    grid: Arc<Grid>,
    assembler: ParamsAssembler,
}

/// The newest round. The memory of one round's params is that of the next.
#[derive(Debug, Default)]
pub(crate) struct Rounds {
    intake: Option<Intake>,
    open: Option<Open>,
    memory: Vec<f32>,
}

impl Rounds {
    /// Params are announced for a run of `units` units on `layout`.
    pub(crate) fn announce(&mut self, opened: RoundOpened, layout: &Layout, units: u32) -> Result<(), Failure> {
        let RoundOpened { run, round, params: digest, params_bytes, bits, exponents } = opened;
        if self.intake.is_some() {
            return Err(Failure::new(Code::UnexpectedMessage, "params were announced within other params"));
        }
        let refuse = |why: String| Failure::new(Code::BadMessage, format!("round {round} cannot be opened: {why}"));
        let limit = limit(bits, units)
            .ok_or_else(|| refuse(format!("{units} units do not fit sums of {} bits", u8::from(bits))))?;
        let grid = Grid::validated(bits, limit, exponents, layout).map_err(|error| refuse(error.to_string()))?;
        self.reclaim();
        let memory = std::mem::take(&mut self.memory);
        let assembler = ParamsAssembler::new(memory, layout.params(), digest, params_bytes)?;
        self.intake = Some(Intake { run, round, digest, grid: Arc::new(grid), assembler });
        Ok(())
    }

    /// A frame of the announced params; gives their bytes when they are complete.
    pub(crate) fn push(&mut self, frame: &[u8]) -> Result<Option<u64>, Failure> {
        let Some(intake) = &mut self.intake else {
            return Err(Failure::new(Code::UnexpectedMessage, "a frame of params came without an announcement"));
        };
        intake.assembler.push(frame)?;
        if !intake.assembler.is_complete() {
            return Ok(None);
        }
        let Intake { run, round, digest, grid, assembler } = self.intake.take().expect("it was there above");
        let params = Arc::new(assembler.finish()?);
        let bytes = (params.len() * size_of::<f32>()) as u64;
        self.open = Some(Open { run, round, digest, grid, params });
        Ok(Some(bytes))
    }

    /// The round whose params are complete, unless newer ones are on their way.
    pub(crate) fn open(&self) -> Option<&Open> {
        self.open.as_ref()
    }

    /// The link is down: what was on its way will not come.
    pub(crate) fn interrupt(&mut self) {
        self.reclaim();
        if let Some(intake) = self.intake.take() {
            self.memory = intake.assembler.into_memory();
        }
    }

    fn reclaim(&mut self) {
        if let Some(params) = self.open.take().and_then(|open| Arc::try_unwrap(open.params).ok()) {
            self.memory = params;
        }
    }
}
