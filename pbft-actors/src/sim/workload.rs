//! What a simulated group replicates, and what its clients ask it for.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::rng::Rng;
use super::service::{Behaviour, LogService, operation};
use crate::ports::service::{AnyService, Service};
use crate::types::ReplicaId;

/// A service and the operations on it.
#[derive(Clone)]
pub(super) struct Workload {
    service: Rc<dyn Fn(ReplicaId) -> Arc<dyn AnyService>>,
    operations: Operations,
}

impl Workload {
    /// The simulator's own log, which shows what was executed twice, lost or answered wrongly.
    pub(super) fn log() -> Self {
        Self { service: Rc::new(|_| Arc::new(LogService)), operations: Operations::Log }
    }

    /// The same without reads: every operation is executed at its own place.
    #[cfg(test)]
    pub(super) fn writes() -> Self {
        Self { operations: Operations::Writes, ..Self::log() }
    }

    /// Any other service, with operations made of random numbers.
    pub(super) fn of<S: Service>(
        service: impl Fn() -> S + 'static,
        operation: impl Fn(u64) -> Vec<u8> + 'static,
    ) -> Self {
        let service = move |_| -> Arc<dyn AnyService> { Arc::new(service()) };
        let operations = Operations::Drawn(Rc::new(operation));
        Self { service: Rc::new(service), operations }
    }

    #[cfg(test)]
    pub(super) fn with_service(self, service: Rc<dyn Fn(ReplicaId) -> Arc<dyn AnyService>>) -> Self {
        Self { service, ..self }
    }

    /// The service of a replica that starts.
    pub(super) fn service(&self, replica: ReplicaId) -> Arc<dyn AnyService> {
        (self.service)(replica)
    }

    pub(super) fn operations(&self) -> Operations {
        self.operations.clone()
    }
}

/// Where operations come from.
#[derive(Clone)]
pub(super) enum Operations {
    /// Those of [`LogService`].
    Log,
    /// Those that change it.
    #[cfg(test)]
    Writes,
    /// Made of random numbers.
    Drawn(Rc<dyn Fn(u64) -> Vec<u8>>),
}

impl Operations {
    /// The next operation, and what it shall do.
    pub(super) fn draw(&self, rng: &mut Rng, id: u64) -> (Bytes, Option<Behaviour>) {
        match self {
            Self::Log => {
                let behaviour = match rng.below(20) {
                    0 => Behaviour::Refuse,
                    1 => Behaviour::Panic,
                    2..6 => Behaviour::Read,
                    6..9 => Behaviour::Long,
                    _ => Behaviour::Append,
                };
                (operation(id, behaviour), Some(behaviour))
            }
            #[cfg(test)]
            Self::Writes => {
                let behaviour = *rng.pick(&[Behaviour::Append, Behaviour::Long, Behaviour::Refuse]);
                (operation(id, behaviour), Some(behaviour))
            }
            Self::Drawn(operation) => (operation(rng.next()).into(), None),
        }
    }
}
