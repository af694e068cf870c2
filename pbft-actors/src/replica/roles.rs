use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Driver;
use crate::crypto::{Digest, Identity};
use crate::message::Signer;
use crate::ports::config::{Agreed, Tuning};
use crate::ports::service::AnyService;
use crate::ports::state::{PageFile, Snapshot};
use crate::role::{
    BatcherInput, CheckpointerInput, Mail, OrdererInput, Remembered, ViewChangerInput, Whereabouts,
};
use crate::roles::batcher::{Batcher, BatcherConfig};
use crate::roles::checkpointer::{Checkpointer, CheckpointerConfig};
use crate::roles::executor::{Executor, ExecutorConfig, TableLimits};
use crate::roles::orderer::{Orderer, OrdererConfig};
use crate::roles::view_changer::ViewChanger;
use crate::types::{LogId, ReplicaId, Seq};

/// What a replica is made from.
#[derive(Clone)]
pub(crate) struct ReplicaConfig {
    pub(crate) own: ReplicaId,
    pub(crate) identity: Identity,
    pub(crate) log: LogId,
    pub(crate) agreed: Arc<Agreed>,
    pub(crate) tuning: Tuning,
    pub(crate) service: Arc<dyn AnyService>,
    /// Random.
    pub(crate) entropy: Digest,
}

/// The states that a durable replica has on disk.
#[derive(Default)]
pub(crate) struct StoredState {
    /// The one that was saved last.
    latest: Option<Snapshot>,
    /// A transfer that was under way when the replica stopped: to which checkpoint, and how far.
    transfer: Option<(Seq, Snapshot)>,
}

impl StoredState {
    /// What a page file holds.
    pub(crate) fn of(file: &PageFile) -> Self {
        Self {
            latest: file.latest().map(|(_, snapshot)| snapshot),
            transfer: file.transfer().map(|(target, snapshot)| (target.seq, snapshot)),
        }
    }
}

/// The five roles of one replica.
#[derive(Clone)]
pub(crate) struct Roles {
    pub(crate) batcher: Driver<Batcher>,
    pub(crate) orderer: Driver<Orderer>,
    pub(crate) checkpointer: Driver<Checkpointer>,
    pub(crate) view_changer: Driver<ViewChanger>,
    pub(crate) executor: Driver<Executor>,
}

impl Roles {
    /// The roles of a replica that starts with what it remembers, and the mail that wakes them.
    ///
    /// `stored` is what a durable replica has on disk. A state that cannot be read any more is as good as
    /// none: the replica fetches it from the others.
    pub(crate) fn new(
        config: &ReplicaConfig,
        remembered: Remembered,
        stored: Option<StoredState>,
    ) -> (Self, Vec<Mail>) {
        let ReplicaConfig { own, agreed, tuning, service, entropy, .. } = config;
        let quorums = agreed.quorums();
        // Without a disk there is nowhere else to keep the state.
        let heap_pages_max = stored.as_ref().map_or(usize::MAX, |_| tuning.state_memory_pages());
        let StoredState { latest, transfer } = stored.unwrap_or_default();
        let signer = Signer {
            sender: *own,
            log: config.log,
            identity: config.identity.clone(),
            binding: agreed.binding(),
        };
        let fresh = || ExecutorConfig {
            own: *own,
            checkpoint_interval: agreed.checkpoint_interval,
            window: agreed.window,
            state_limits: agreed.state_limits(),
            table_limits: TableLimits {
                client_window: agreed.client_window,
                sessions_per_client: agreed.sessions_per_client,
                sessions_total: agreed.sessions_total,
                result_bytes_per_client: agreed.result_bytes_per_client,
            },
            heap_pages_max,
            service: service.clone(),
        };
        let restored =
            |snapshot| catch_unwind(AssertUnwindSafe(|| Executor::restored(fresh(), &snapshot))).ok();
        let mut executor = latest.and_then(restored).unwrap_or_else(|| Executor::new(fresh()));
        let genesis = executor.start();
        let mut checkpointer = Checkpointer::new(CheckpointerConfig {
            signer: signer.clone(),
            quorums,
            checkpoint_interval: agreed.checkpoint_interval,
            window: agreed.window,
            state_limits: agreed.state_limits(),
            heap_pages_max,
            tuning: tuning.clone(),
        });
        checkpointer.resume(transfer);
        checkpointer.remember(&remembered);
        let mut orderer = Orderer::new(OrdererConfig {
            own: *own,
            quorums,
            checkpoint_interval: agreed.checkpoint_interval,
            window: agreed.window,
            signed_requests: agreed.signed_requests,
            tuning: tuning.clone(),
            service: service.clone(),
        });
        let Remembered { peer_logs, stable, asked, entered, slots, .. } = remembered;
        let stable = stable.map_or(Seq::ZERO, |stable| stable.seq);
        orderer.remember(genesis.seq, stable, slots, peer_logs.into_keys());
        let rejoined = executor.rejoined().flat_map(|rejoined| {
            let until = rejoined.target.max(rejoined.seq);
            [CheckpointerInput::Rejoined(rejoined).into(), BatcherInput::Fill(until).into()]
        });
        let mut start: Vec<Mail> = vec![CheckpointerInput::Start(genesis).into()];
        start.extend(rejoined);
        start.extend([
            ViewChangerInput::Start(Box::new(Whereabouts { asked, entered })).into(),
            OrdererInput::Start.into(),
        ]);
        let roles = Self {
            batcher: Driver::new(Batcher::new(BatcherConfig {
                own: *own,
                quorums,
                checkpoint_interval: agreed.checkpoint_interval,
                signed_requests: agreed.signed_requests,
                tuning: tuning.clone(),
                service: service.clone(),
                entropy: *entropy,
            })),
            orderer: Driver::new(orderer),
            checkpointer: Driver::new(checkpointer),
            view_changer: Driver::new(ViewChanger::new(signer, quorums, agreed.window, tuning.clone())),
            executor: Driver::new(executor),
        };
        (roles, start)
    }
}
