//! The executor: the only one who touches the state. Executes the committed prefix, remembers what
//! it answered, takes checkpoints and becomes those that were fetched (PROTOCOL 4, 6 and 8).

mod by_timestamp;
mod client_table;
mod execute;
mod members;
mod pages;
mod reads;
mod reply;
mod tentative;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::crypto::Digest;
use crate::message::{Batch, Outcome, Request, Verified};
use crate::ports::service::AnyService;
use crate::ports::state::{DamagedPart, Snapshot, State, StateLimits};
use crate::role::{
    BatcherInput, CheckpointerInput, ExecutorInput, Install, OrdererInput, Outbox, Rejoined, Role,
    SavedState, Taken,
};
use crate::types::{Now, ReplicaId, Seq, View, Wall};
pub(crate) use client_table::TableLimits;
use client_table::{ClientTable, Executed, Lookup};
use members::Members;
use reads::Reads;
use tentative::Ahead;

/// The executor waits for nothing by itself.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum NoTimer {}

/// What an executor needs to know.
#[derive(Clone)]
pub(crate) struct ExecutorConfig {
    pub(crate) own: ReplicaId,
    pub(crate) checkpoint_interval: u64,
    pub(crate) window: u64,
    pub(crate) state_limits: StateLimits,
    pub(crate) table_limits: TableLimits,
    /// Pages of the state that may be in memory of their own before the disk has to catch up.
    pub(crate) heap_pages_max: usize,
    pub(crate) service: Arc<dyn AnyService>,
}

/// The executor's state.
#[derive(Clone)]
pub(crate) struct Executor {
    config: ExecutorConfig,
    state: State,
    table: ClientTable,
    members: Members,
    /// The last batch of the committed prefix that was executed.
    executed: Seq,
    /// The batch after it, executed before it is certain.
    ahead: Option<Ahead>,
    reads: Reads,
    /// Committed batches that wait for the disk to catch up.
    held: VecDeque<(Seq, Arc<Batch>)>,
    /// A state was installed: what the orderer sent before it heard of that is void.
    jumped: bool,
    /// Whether some are held, as the others were told.
    waiting: bool,
    /// The last checkpoint that is on disk.
    saved: Seq,
    /// The stable checkpoint.
    stable: Seq,
    /// The disk lost a part of the state: nothing is executed until it is replaced.
    broken: bool,
    /// Agreed time of the last batch that had one.
    time: Wall,
    /// What the own state was at each checkpoint from the stable one up, as far as that is computed.
    roots: BTreeMap<Seq, Digest>,
    /// Counts the states that were installed: what is computed of an earlier one is void.
    generation: u64,
    view: View,
}

impl Executor {
    pub(crate) fn new(config: ExecutorConfig) -> Self {
        let mut executor = Self {
            state: State::new(config.state_limits),
            table: ClientTable::new(config.table_limits),
            config,
            members: Members::default(),
            executed: Seq::ZERO,
            ahead: None,
            reads: Reads::default(),
            held: VecDeque::new(),
            jumped: false,
            waiting: false,
            saved: Seq::ZERO,
            stable: Seq::ZERO,
            broken: false,
            time: Wall(0),
            roots: BTreeMap::new(),
            generation: 0,
            view: View(0),
        };
        let genesis = executor.take_checkpoint();
        executor.roots.insert(genesis.seq, genesis.snapshot.root());
        executor
    }

    /// An executor that goes on from a state that was saved.
    pub(crate) fn restored(config: ExecutorConfig, snapshot: &Snapshot) -> Self {
        let mut executor = Self::new(config);
        executor.become_state(snapshot);
        // Only the orderer of a replica that runs is told, and sends again.
        executor.jumped = false;
        executor.saved = executor.executed;
        executor
    }

    /// The state as it is now, for those who check it from outside.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn state(&self) -> &State {
        &self.state
    }

    /// The state, to be damaged.
    #[cfg(test)]
    pub(crate) fn state_mut(&mut self) -> &mut State {
        &mut self.state
    }

    /// The last batch executed.
    #[cfg(any(test, feature = "sim"))]
    pub(crate) fn executed(&self) -> Seq {
        self.executed
    }

    /// Agreed time of the last batch that had one.
    #[cfg(test)]
    pub(crate) fn time(&self) -> Wall {
        self.time
    }

    /// The state the replica starts with.
    pub(crate) fn start(&mut self) -> Taken {
        Taken { seq: self.executed, snapshot: self.state.snapshot() }
    }

    /// What the members of the state have agreed on, for those who start with it.
    pub(crate) fn rejoined(&self) -> impl Iterator<Item = Rejoined> + '_ {
        self.members.iter()
    }

    /// What is on disk is not held in memory any more.
    fn on_saved(&mut self, state: SavedState, out: &mut Outbox<NoTimer>) {
        out.tell(CheckpointerInput::Saved(state.clone()));
        // Down, too, after a repair that went back.
        self.saved = state.seq;
        // Last, since these may meet a part that the disk lost.
        if self.broken {
            return;
        }
        if let Some(saved) = &state.saved {
            self.state.adopt(saved);
        }
        if !self.held.is_empty() {
            self.proceed(out);
        }
    }

    /// Answers what was executed already, and passes on what may be ordered.
    fn on_requests(&mut self, requests: Vec<Verified<Request>>, out: &mut Outbox<NoTimer>) {
        let (mut admitted, waiting) = (Vec::with_capacity(requests.len()), self.reads.waiting());
        for request in requests {
            if let Some(replica) = request.id().client.replica() {
                if self.members.is_new(replica, request.id().session.0) {
                    admitted.push(request);
                }
                continue;
            }
            match self.table.look_up(&request) {
                Lookup::Admit => admitted.extend(self.reads.take_up(request)),
                Lookup::Answer(executed) => {
                    self.reply(&request, &executed, out);
                    // What is tentative may go, and its primary may be dead: it still waits.
                    if executed.seq > self.executed {
                        admitted.push(request);
                    }
                }
                Lookup::Expired(highest) => self.reply_expired(&request, highest, out),
                Lookup::Refuse => {}
            }
        }
        if !admitted.is_empty() {
            out.tell(BatcherInput::Admitted(admitted));
        }
        self.answer_reads(out);
        if self.reads.waiting() > waiting {
            out.tell(OrdererInput::ReadWaits);
        }
    }
}

impl Role for Executor {
    type Input = ExecutorInput;
    type Timer = NoTimer;

    fn on_input(&mut self, _now: Now, input: ExecutorInput, out: &mut Outbox<NoTimer>) {
        if let Err(part) = DamagedPart::catch(|| self.handle(input, out)) {
            // What was under way is given up; the state that is installed next replaces all of it.
            self.broken = true;
            // It was interrupted in the middle of a batch, of which nothing must be answered.
            if self.ahead.is_none() {
                self.table.undo();
            }
            out.tell(CheckpointerInput::Damaged(vec![part]));
        }
    }

    fn on_timer(&mut self, _now: Now, timer: NoTimer, _out: &mut Outbox<NoTimer>) {
        match timer {}
    }
}

impl Executor {
    fn handle(&mut self, input: ExecutorInput, out: &mut Outbox<NoTimer>) {
        match input {
            ExecutorInput::Execute(_) if self.broken => {}
            ExecutorInput::Requests(requests) => self.on_requests(requests, out),
            ExecutorInput::Execute(batches) => self.on_execute(&batches, out),
            ExecutorInput::Tentative { view, seq, batch } => self.on_tentative(view, seq, &batch, out),
            ExecutorInput::Prepared(seq) => self.reads.on_prepared(seq),
            ExecutorInput::Halt => {
                self.reads.halt();
                self.undo_ahead();
            }
            ExecutorInput::Resume(seq) => {
                self.reads.resume(seq);
                self.answer_reads(out);
            }
            ExecutorInput::Stable(seq) => {
                self.stable = seq;
                self.roots = self.roots.split_off(&seq);
            }
            ExecutorInput::Install(install) => self.on_install(install, out),
            ExecutorInput::Entered(view) => self.enter(view),
            ExecutorInput::Digested { generation, taken } => self.on_digested(generation, taken, out),
            ExecutorInput::Saved(state) => self.on_saved(state, out),
            // It must not run away from the checkpoint that is being fetched for it.
            ExecutorInput::Damaged => self.broken = true,
        }
    }
}
