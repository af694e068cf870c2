use std::fs;
use std::path::Path;
use std::process;
use std::time::Duration;

/// Processes of this machine whose processor time is measured.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    /// Those that serve.
    pub(crate) servers: Vec<u32>,
}

/// Processor time since the start of each process.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct CpuTime {
    pub(super) servers: Duration,
    pub(super) own: Duration,
}

impl Processes {
    /// User and system time of all their threads that live, as the kernel's scheduler counts it.
    pub(super) fn cpu_time(&self) -> CpuTime {
        let servers = self.servers.iter().map(|pid| of_process(*pid)).sum();
        CpuTime { servers, own: of_process(process::id()) }
    }
}

/// Nothing where the process is gone or the kernel does not tell.
fn of_process(pid: u32) -> Duration {
    let Ok(threads) = fs::read_dir(format!("/proc/{pid}/task")) else { return Duration::ZERO };
    threads.flatten().filter_map(|thread| of_thread(&thread.path())).sum()
}

fn of_thread(directory: &Path) -> Option<Duration> {
    let text = fs::read_to_string(directory.join("schedstat")).ok()?;
    text.split_whitespace().next()?.parse().ok().map(Duration::from_nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_takes_time_and_a_process_that_is_gone_none() {
        let before = of_process(process::id());
        let mut sum = 0_u64;
        while of_process(process::id()) < before + Duration::from_millis(20) {
            sum = std::hint::black_box(sum.wrapping_mul(31).wrapping_add(1));
        }
        assert_eq!(of_process(u32::MAX), Duration::ZERO);
    }
}
