//! Clusters of real processes of the built binary.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]
#![allow(dead_code, reason = "each test binary uses its own part")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use pbft_demo::config::{ClusterFile, NewCluster, create};
use pbft_demo::report::{ClusterReport, ReplicaReport};
use tempfile::TempDir;

/// Longest time that anything here may take; a loaded machine is slow.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// The built program.
pub(crate) fn demo() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pbft-demo"))
}

/// Polls until there is something.
pub(crate) fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(start.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(20));
    }
}

/// A port that nobody uses, below those that the kernel gives to outgoing connections.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = 10_000 + u16::try_from(std::process::id() % 200).expect("small") * 100;
    loop {
        let port = start + NEXT.fetch_add(1, Ordering::Relaxed) % 2_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Asks a process to end.
pub(crate) fn terminate(child: &mut Child) -> ExitStatus {
    let sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status().expect("kill runs");
    assert!(sent.success());
    child.wait().expect("it is our child")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A cluster of processes; they end with it.
pub(crate) struct Cluster {
    directory: TempDir,
    processes: Vec<Option<Child>>,
    durable: bool,
}

impl Cluster {
    /// Keys and a cluster file on free ports.
    pub(crate) fn new(n: u8, clients: u32) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let new = NewCluster { replicas: n, clients, base_port: 7_000 };
        create(directory.path(), new).expect("a new directory");
        let cluster = Self { directory, processes: (0..n).map(|_| None).collect(), durable: false };
        cluster.edit(&cluster.config(), |file| {
            for replica in &mut file.replicas {
                replica.address = format!("127.0.0.1:{}", free_port());
                replica.admin = format!("127.0.0.1:{}", free_port());
            }
            // A loaded machine is no faulty primary.
            file.tuning.timeout_ms = 2_000;
            // Rejoining takes 2L batches.
            (file.agreed.checkpoint_interval, file.agreed.window) = (32, 128);
        });
        cluster
    }

    /// The same, with all replicas running and voting.
    pub(crate) fn running(n: u8, clients: u32) -> Self {
        let mut cluster = Self::new(n, clients);
        (0..n).for_each(|id| cluster.start(id));
        cluster.until_all_vote();
        cluster
    }

    /// The same, with journals and states on disk.
    pub(crate) fn durable(n: u8, clients: u32) -> Self {
        let mut cluster = Self::new(n, clients);
        cluster.durable = true;
        (0..n).for_each(|id| cluster.start(id));
        cluster.until_all_vote();
        cluster
    }

    /// Where a durable replica keeps its files.
    pub(crate) fn data(&self, id: u8) -> PathBuf {
        self.directory().join("data").join(id.to_string())
    }

    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn config(&self) -> PathBuf {
        self.directory().join("cluster.toml")
    }

    pub(crate) fn edit(&self, path: &Path, change: impl FnOnce(&mut ClusterFile)) {
        let mut file: ClusterFile = toml::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        change(&mut file);
        fs::write(path, toml::to_string(&file).unwrap()).unwrap();
    }

    /// Another cluster file beside the first, with the same keys.
    pub(crate) fn variant(&self, name: &str, change: impl FnOnce(&mut ClusterFile)) -> PathBuf {
        let path = self.directory().join(name);
        fs::copy(self.config(), &path).unwrap();
        self.edit(&path, change);
        path
    }

    pub(crate) fn start(&mut self, id: u8) {
        self.start_with(id, &self.config());
    }

    pub(crate) fn start_with(&mut self, id: u8, config: &Path) {
        let log = File::options().create(true).append(true).open(self.log_path(id)).unwrap();
        let child = demo()
            .args(["replica", "--id", &id.to_string(), "--config"])
            .arg(config)
            .args(Some("--memory").filter(|_| !self.durable))
            // A backtrace with debug information takes seconds.
            .env("RUST_BACKTRACE", "0")
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("the built program starts");
        self.processes[usize::from(id)] = Some(child);
    }

    pub(crate) fn process(&mut self, id: u8) -> &mut Child {
        self.processes[usize::from(id)].as_mut().expect("it was started")
    }

    /// kill -9 of all that run, at once.
    pub(crate) fn kill_all(&mut self) {
        let mut children: Vec<Child> = self.processes.iter_mut().filter_map(Option::take).collect();
        children.iter_mut().for_each(|child| child.kill().expect("it is our child"));
        children.iter_mut().for_each(|child| assert!(!child.wait().expect("it is our child").success()));
    }

    /// The process of a replica, to be ended by whoever takes it.
    pub(crate) fn take(&mut self, id: u8) -> Child {
        self.processes[usize::from(id)].take().expect("it was started")
    }

    /// kill -9.
    pub(crate) fn kill(&mut self, id: u8) {
        let mut child = self.processes[usize::from(id)].take().expect("it was started");
        child.kill().expect("it is our child");
        child.wait().expect("it is our child");
    }

    pub(crate) fn log(&self, id: u8) -> String {
        fs::read_to_string(self.log_path(id)).unwrap_or_default()
    }

    fn log_path(&self, id: u8) -> PathBuf {
        self.directory().join(format!("replica-{id}.log"))
    }

    pub(crate) fn counter(&self, arguments: &[&str]) -> Output {
        demo().arg("counter").arg("--config").arg(self.config()).args(arguments).output().expect("it runs")
    }

    /// What a successful `counter` prints.
    pub(crate) fn value(&self, arguments: &[&str]) -> String {
        let output = self.counter(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", text(&output.stderr));
        text(&output.stdout).trim_end().to_owned()
    }

    pub(crate) fn status(&self) -> ClusterReport {
        let output =
            demo().args(["status", "--json", "--config"]).arg(self.config()).output().expect("it runs");
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    pub(crate) fn report(&self, id: u8) -> Option<ReplicaReport> {
        self.status().replicas.swap_remove(usize::from(id)).report
    }

    pub(crate) fn until_votes(&self, id: u8) {
        until(&format!("replica {id} votes"), || self.report(id).filter(|report| report.voting));
    }

    pub(crate) fn until_all_vote(&self) {
        until("all replicas vote", || {
            let report = self.status();
            let votes = |report: &ReplicaReport| report.voting && !report.changing;
            report.replicas.iter().all(|replica| replica.report.as_ref().is_some_and(votes)).then_some(())
        });
    }

    /// The primary, as most recent views tell.
    pub(crate) fn primary(&self) -> u8 {
        let status = self.status();
        let reports = status.replicas.iter().filter_map(|replica| replica.report.as_ref());
        reports.max_by_key(|report| report.view).expect("somebody answers").primary
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for child in self.processes.iter_mut().flatten() {
            let _gone_already = child.kill();
            let _gone_already = child.wait();
        }
        if thread::panicking() {
            for id in 0..self.processes.len() {
                let log = self.log(u8::try_from(id).expect("few"));
                let lines: Vec<&str> = log.lines().collect();
                eprintln!("replica {id}:\n{}", lines[lines.len().saturating_sub(25)..].join("\n"));
            }
        }
    }
}

/// A process that adds 1 again and again, and the values that were acknowledged to it.
pub(crate) struct Adding {
    acknowledged: Arc<AtomicUsize>,
    reader: JoinHandle<Vec<i64>>,
    process: Child,
}

impl Adding {
    pub(crate) fn start(cluster: &Cluster, client: u32, name: &str, times: usize) -> Self {
        let mut process = demo()
            .arg("counter")
            .arg("--config")
            .arg(cluster.config())
            .args(["--client", &client.to_string(), "--timeout", "60"])
            .args(["add", name, "1", "--repeat", &times.to_string()])
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the built program starts");
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let (out, count) = (process.stdout.take().expect("piped"), Arc::clone(&acknowledged));
        let reader = thread::spawn(move || {
            let values = BufReader::new(out).lines().map(|line| line.expect("text"));
            values
                .map(|line| {
                    count.fetch_add(1, Ordering::Relaxed);
                    line.parse().expect("a value per line")
                })
                .collect()
        });
        Self { acknowledged, reader, process }
    }

    pub(crate) fn until_acknowledged(&self, times: usize) {
        until(&format!("{times} additions"), || {
            (self.acknowledged.load(Ordering::Relaxed) >= times).then_some(())
        });
    }

    /// Waits for the end and returns the acknowledged values.
    pub(crate) fn finish(mut self) -> Vec<i64> {
        assert!(self.process.wait().expect("our child").success(), "an addition failed");
        self.reader.join().expect("it reads values")
    }
}

/// Every addition is in the final value and none is there twice: with only +1, the acknowledged
/// values are all different and end at the final one.
pub(crate) fn assert_each_counted_once(acknowledged: &[Vec<i64>], before: i64, last: i64) {
    let all: Vec<i64> = acknowledged.concat();
    let different: BTreeSet<i64> = all.iter().copied().collect();
    assert_eq!(different.len(), all.len(), "two additions were answered with one value");
    assert_eq!(last - before, i64::try_from(all.len()).unwrap(), "additions were lost or counted twice");
    assert_eq!(different.last(), Some(&last));
}
