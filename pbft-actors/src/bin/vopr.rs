//! Runs the simulator over seeds: `vopr --seed S --runs N [--replicas 4..7] [--json]`, and what a run
//! was shrunk to: `vopr --replay FILE`. `vopr --systematic twins --from I --count N` searches a small scope
//! case by case.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use pbft_actors::sim::{Failure, FailureKind, Mark, Marks, RunReport, Script, Shrunk, Systematic};

/// Runs whole clusters in virtual time under crashes, partitions and a lossy network.
///
/// Exit code 0 if every run held; 127 if one crashed, 128 if one made no progress, 129 if one broke
/// safety. Then it prints the line that replays the run, makes the run as small as it can, and writes
/// the smallest one to a file, with a message-sequence chart as text and as Mermaid.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one run each.
    #[arg(long, default_value_t = 1)]
    runs: u64,
    /// Replicas: one number, or a range such as 4..7, both ends included, run one after the other.
    #[arg(long, default_value = "4..7", value_parser = parse_replicas)]
    replicas: (usize, usize),
    /// One JSON object per group size instead of text.
    #[arg(long)]
    json: bool,
    /// Print the trace hash of every run.
    #[arg(long)]
    trace: bool,
    /// Print how often each rare state was reached, and exit with 1 unless every one but the rarest was,
    /// over all group sizes.
    #[arg(long)]
    marks: bool,
    /// Run this script instead of seeds, and chart it.
    #[arg(long, value_name = "FILE")]
    replay: Option<PathBuf>,
    /// Run numbered cases of a small scope at n=4 instead of seeds.
    #[arg(long, value_name = "SPACE")]
    systematic: Option<Space>,
    /// The first of these cases; numbers count modulo how many there are.
    #[arg(long, value_name = "CASE", default_value_t = 0)]
    from: u64,
    /// How many of these cases.
    #[arg(long, value_name = "CASES", default_value_t = 1_000)]
    count: u64,
    /// Runs spent on making a failure smaller; 0 leaves it as it is.
    #[arg(long, value_name = "RUNS", default_value_t = 400)]
    shrink: usize,
    /// Where scripts and charts of failures are written.
    #[arg(long, value_name = "DIRECTORY", default_value = "target/vopr")]
    out: PathBuf,
}

/// A space of cases.
#[derive(Clone, Copy, ValueEnum)]
enum Space {
    /// One replica twice, and every way in which the copies and the others can fall apart.
    Twins,
    /// One field changed in up to two rounds, and up to two cuts.
    Mutations,
}

fn parse_replicas(text: &str) -> Result<(usize, usize), String> {
    let number =
        |text: &str| text.trim_start_matches('=').parse::<usize>().map_err(|error| error.to_string());
    let (low, high) = match text.split_once("..") {
        Some((low, high)) => (number(low)?, number(high)?),
        None => (number(text)?, number(text)?),
    };
    if low < 4 || high > 31 || low > high {
        return Err(format!("{text} is no range within 4..31"));
    }
    Ok((low, high))
}

#[derive(Default)]
struct Totals {
    runs: u64,
    sum: RunReport,
}

impl Totals {
    fn add(&mut self, report: &RunReport) {
        self.runs += 1;
        self.sum.add(report);
    }

    fn print(&self, n: usize, seconds: f64, json: bool) {
        let Self { runs, sum } = self;
        let simulated = sum.simulated_micros as f64 / 1e6;
        if json {
            let marks: BTreeMap<&str, u64> =
                sum.marks.iter().map(|(mark, count)| (mark.name(), count)).collect();
            let line = serde_json::json!({
                "replicas": n, "runs": runs, "seconds": seconds,
                "runs_per_s": *runs as f64 / seconds, "simulated_s": simulated,
                "simulated_s_per_s": simulated / seconds, "events": sum.events, "frames": sum.frames,
                "frames_per_s": sum.frames as f64 / seconds, "operations": sum.operations,
                "batches": sum.batches, "view_changes": sum.view_changes, "transfers": sum.transfers,
                "crashes": sum.crashes, "byzantine": sum.byzantine, "rejoins": sum.rejoins,
                "power_cuts": sum.power_cuts, "disk_failures": sum.disk_failures,
                "disks_lost": sum.disks_lost, "flipped_bits": sum.flips, "faults": sum.faults,
                "stable_checkpoints": sum.stable_checkpoints, "marks": marks, "trace": format!("{:016x}", sum.trace),
            });
            println!("{line}");
            return;
        }
        println!(
            "n={n}: {runs} runs held, {:.0} runs/s, {:.0} simulated s/s, {:.0} frames/s; {} operations, {} batches, \
             {} view changes, {} transfers, {} crashes, {} Byzantine, {} rejoins, \
             {} power cuts, {} failing disks, {} lost disks, {} flipped bits, trace {:016x}",
            *runs as f64 / seconds,
            simulated / seconds,
            sum.frames as f64 / seconds,
            sum.operations,
            sum.batches,
            sum.view_changes,
            sum.transfers,
            sum.crashes,
            sum.byzantine,
            sum.rejoins,
            sum.power_cuts,
            sum.disk_failures,
            sum.disks_lost,
            sum.flips,
            sum.trace,
        );
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(file) = &arguments.replay {
        return replay(file, &arguments);
    }
    if let Some(space) = arguments.systematic {
        let space = match space {
            Space::Twins => Systematic::Twins,
            Space::Mutations => Systematic::Mutations,
        };
        return search(space, &arguments);
    }
    let mut marks = Marks::default();
    for n in arguments.replicas.0..=arguments.replicas.1 {
        let started = Instant::now();
        let mut totals = Totals::default();
        for seed in arguments.seed..arguments.seed.saturating_add(arguments.runs) {
            let script = Script::draw(seed, n);
            match script.run() {
                Ok(report) => {
                    if arguments.trace {
                        println!("n={n} seed={seed} trace={:016x}", report.trace);
                    }
                    totals.add(&report);
                }
                Err(failure) => {
                    eprintln!("n={n} seed={seed}: {failure}");
                    eprintln!("replay: {COMMAND} --seed {seed} --runs 1 --replicas {n}");
                    shrink_and_show(&script, &failure, &format!("n{n}-seed{seed}"), &arguments);
                    return exit_code(failure.kind);
                }
            }
        }
        totals.print(n, started.elapsed().as_secs_f64(), arguments.json);
        marks.add(&totals.sum.marks);
    }
    if arguments.marks { show(&marks) } else { ExitCode::SUCCESS }
}

/// Runs a part of a space, case by case.
fn search(space: Systematic, arguments: &Arguments) -> ExitCode {
    let started = Instant::now();
    let (mut totals, cases) = (Totals::default(), space.cases());
    let name = format!("{space:?}").to_lowercase();
    for number in arguments.from..arguments.from.saturating_add(arguments.count.min(cases)) {
        let number = number % cases;
        let script = space.script(number);
        match script.run() {
            Ok(report) => totals.add(&report),
            Err(failure) => {
                eprintln!("{name} {number}: {failure}");
                eprintln!("replay: {COMMAND} --systematic {name} --from {number} --count 1");
                shrink_and_show(&script, &failure, &format!("{name}-{number}"), arguments);
                return exit_code(failure.kind);
            }
        }
    }
    let first = arguments.from % cases;
    if arguments.json {
        let report = serde_json::json!({
            "systematic": name, "cases": cases, "from": first, "runs": totals.runs,
            "seconds": started.elapsed().as_secs_f64(), "view_changes": totals.sum.view_changes,
        });
        println!("{report}");
    } else {
        println!("{name}: {} of {cases} cases from {first}", totals.runs);
        totals.print(4, started.elapsed().as_secs_f64(), false);
    }
    ExitCode::SUCCESS
}

/// Every mark with its count; a failure names those that were to be reached.
fn show(marks: &Marks) -> ExitCode {
    for (mark, count) in marks.iter() {
        println!("{count:>9} {}", mark.name());
    }
    let missed: Vec<&str> = marks.missed().filter(|mark| !mark.is_rare()).map(Mark::name).collect();
    if missed.is_empty() {
        return ExitCode::SUCCESS;
    }
    eprintln!("never reached: {}", missed.join(", "));
    ExitCode::FAILURE
}

const COMMAND: &str = "cargo run --release -p pbft-actors --features sim --bin vopr --";

/// Runs one script and writes its chart next to it.
fn replay(file: &Path, arguments: &Arguments) -> ExitCode {
    let text = fs::read_to_string(file).map_err(|error| error.to_string());
    let script = match text.and_then(|text| Script::from_json(&text)) {
        Ok(script) => script,
        Err(error) => {
            eprintln!("{}: {error}", file.display());
            return ExitCode::FAILURE;
        }
    };
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let started = Instant::now();
    match script.run() {
        Ok(report) => {
            let mut totals = Totals::default();
            totals.add(&report);
            totals.print(script.replicas(), started.elapsed().as_secs_f64(), arguments.json);
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("{name}: {failure}");
            shrink_and_show(&script, &failure, &name, arguments);
            exit_code(failure.kind)
        }
    }
}

fn shrink_and_show(script: &Script, failure: &Failure, name: &str, arguments: &Arguments) {
    // The first panic was told; those of the runs that look for a smaller one are not news.
    std::panic::set_hook(Box::new(|_| {}));
    let shrunk = script.shrink(failure, arguments.shrink);
    match write(&shrunk, name, &arguments.out) {
        Err(error) => eprintln!("{}: {error}", arguments.out.display()),
        Ok(files) if arguments.json => {
            let line = serde_json::json!({
                "failure": format!("{:?}", shrunk.failure.kind).to_lowercase(),
                "what": shrunk.failure.what, "replicas": shrunk.script.replicas(),
                "faults_before": script.faults(), "faults": shrunk.script.faults(),
                "shrink_runs": shrunk.runs, "script": files[0], "chart": files[1], "mermaid": files[2],
            });
            println!("{line}");
        }
        Ok(files) => {
            eprintln!(
                "shrunk in {} runs from {} faults at n={} to {} at n={}: {}",
                shrunk.runs,
                script.faults(),
                script.replicas(),
                shrunk.script.faults(),
                shrunk.script.replicas(),
                shrunk.failure
            );
            eprintln!("replay: {COMMAND} --replay {}", files[0]);
            eprintln!("charts: {} and {}", files[1], files[2]);
        }
    }
}

/// Writes script, chart and diagram; their names.
fn write(shrunk: &Shrunk, name: &str, directory: &Path) -> io::Result<[String; 3]> {
    fs::create_dir_all(directory)?;
    let chart = shrunk.script.chart();
    let files = [
        (format!("{name}.json"), shrunk.script.to_json()),
        (format!("{name}.txt"), chart.text()),
        (format!("{name}.mmd"), chart.mermaid()),
    ];
    let mut names = Vec::new();
    for (file, content) in files {
        let path = directory.join(file);
        fs::write(&path, content)?;
        names.push(path.display().to_string());
    }
    Ok(names.try_into().expect("three files"))
}

fn exit_code(kind: FailureKind) -> ExitCode {
    ExitCode::from(kind as u8)
}
