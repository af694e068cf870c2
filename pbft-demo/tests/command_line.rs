//! The words of the command line, on which scripts rely.

mod common;

use std::time::Duration;

use clap::{CommandFactory, Parser};
use common::{demo, text};
use pbft_demo::cli::{Cli, Command, CounterAction};

fn parse(line: &str) -> Cli {
    Cli::try_parse_from(line.split_whitespace()).unwrap_or_else(|error| panic!("{line}: {error}"))
}

#[test]
fn the_definition_holds_together() {
    Cli::command().debug_assert();
}

#[test]
fn without_a_command_it_is_up() {
    let bare = parse("pbft-demo");
    assert_eq!(bare.command, None);
    assert_eq!(bare.up.dir.to_str(), Some("pbft-data"));
    assert_eq!(bare.up.http.to_string(), "127.0.0.1:8080");
    let line = "--dir d --replicas 7 --http 127.0.0.1:1 --memory";
    let Some(Command::Up(up)) = parse(&format!("pbft-demo up {line}")).command else { panic!("up") };
    assert_eq!(parse(&format!("pbft-demo {line}")).up, up);
    assert_eq!((up.replicas, up.memory), (Some(7), true));
}

#[test]
fn the_words_of_each_command_are_known() {
    parse("pbft-demo init --dir d --replicas 4 --clients 2 --base-port 9000");
    parse("pbft-demo replica --config d/cluster.toml --id 3 --data x --memory");
    parse("pbft-demo status --config d/cluster.toml --json");
    parse("pbft-demo counter --config c list");
    parse(
        "pbft-demo fail-over --how silence --kills 3 --replicas 7 --memory --clients 2 --outstanding 8 --json",
    );
    let Some(Command::Counter(args)) =
        parse("pbft-demo counter --config c --client 2 add apples -3 --timeout 0.5").command
    else {
        panic!("counter")
    };
    assert_eq!((args.client, args.timeout), (2, Duration::from_millis(500)));
    assert_eq!(args.action, CounterAction::Add { name: "apples".to_owned(), by: -3, repeat: 1 });
}

#[test]
fn times_that_are_none_are_refused() {
    for time in ["0", "-1", "soon", "inf", "1e9"] {
        let line = ["pbft-demo", "counter", "--config", "c", "get", "n", "--timeout", time];
        assert!(Cli::try_parse_from(line).is_err(), "{time}");
    }
}

#[test]
fn help_does_not_show_what_is_only_for_tests() {
    let help = demo().args(["counter", "--help"]).output().unwrap();
    assert!(help.status.success());
    assert!(!text(&help.stdout).contains("panic"));
}

#[test]
fn a_missing_cluster_file_is_named_with_the_cure() {
    let output = demo().args(["status", "--config", "nowhere/cluster.toml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains("nowhere/cluster.toml") && said.contains("pbft-demo init"), "{said}");
}
