//! Prometheus text, made from what the replicas report when somebody asks.

use std::sync::OnceLock;

use metrics::{counter, gauge};
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};

use crate::report::ReplicaReport;

/// The reports of these replicas as Prometheus text.
pub(crate) fn render<'a>(reports: impl IntoIterator<Item = (u8, &'a ReplicaReport)>) -> String {
    static RECORDER: OnceLock<PrometheusHandle> = OnceLock::new();
    let recorder = RECORDER.get_or_init(|| {
        describe(PrometheusBuilder::new().install_recorder().expect("no other recorder is installed"))
    });
    for (id, report) in reports {
        note(id, report);
    }
    recorder.render()
}

fn describe(recorder: PrometheusHandle) -> PrometheusHandle {
    metrics::describe_counter!("pbft_operations_total", "Operations executed since the replica started");
    metrics::describe_counter!("pbft_view_changes_total", "View changes the replica took part in");
    metrics::describe_counter!("pbft_rejected_total", "What was refused, by reason");
    metrics::describe_counter!("pbft_journal_syncs_total", "Syncs of the journal");
    metrics::describe_counter!("pbft_journal_sync_microseconds_total", "Time that they took together");
    metrics::describe_counter!("pbft_journal_records_total", "Records written to the journal");
    metrics::describe_counter!("pbft_state_saves_total", "Checkpoints written to disk");
    metrics::describe_counter!("pbft_state_save_microseconds_total", "Time that these took together");
    metrics::describe_gauge!("pbft_view", "The view that the replica is in, or moves to");
    metrics::describe_gauge!("pbft_last_executed", "The last batch executed");
    metrics::describe_gauge!(
        "pbft_stable_checkpoint",
        "The seq of the stable checkpoint, 0 before the first"
    );
    metrics::describe_gauge!("pbft_voting", "1 if the replica votes, 0 if it is still to be let in");
    metrics::describe_gauge!("pbft_peers", "Replicas it has a link with");
    recorder
}

fn note(id: u8, report: &ReplicaReport) {
    let replica = id.to_string();
    counter!("pbft_operations_total", "replica" => replica.clone()).absolute(report.operations);
    counter!("pbft_view_changes_total", "replica" => replica.clone()).absolute(report.view_changes);
    for (reason, count) in &report.rejected {
        let labels = [("replica", replica.clone()), ("reason", reason.clone())];
        counter!("pbft_rejected_total", &labels).absolute(*count);
    }
    if let Some(disk) = &report.disk {
        counter!("pbft_journal_syncs_total", "replica" => replica.clone()).absolute(disk.syncs);
        counter!("pbft_journal_sync_microseconds_total", "replica" => replica.clone())
            .absolute(disk.sync_micros);
        counter!("pbft_journal_records_total", "replica" => replica.clone()).absolute(disk.records);
        counter!("pbft_state_saves_total", "replica" => replica.clone()).absolute(disk.saves);
        counter!("pbft_state_save_microseconds_total", "replica" => replica.clone())
            .absolute(disk.save_micros);
    }
    gauge!("pbft_view", "replica" => replica.clone()).set(report.view as f64);
    gauge!("pbft_last_executed", "replica" => replica.clone()).set(report.last_executed as f64);
    let stable = report.stable_checkpoint.unwrap_or(0);
    gauge!("pbft_stable_checkpoint", "replica" => replica.clone()).set(stable as f64);
    gauge!("pbft_voting", "replica" => replica.clone()).set(f64::from(u8::from(report.voting)));
    gauge!("pbft_peers", "replica" => replica).set(report.peers.len() as f64);
}
