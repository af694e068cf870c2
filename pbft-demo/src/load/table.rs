use std::fmt::Write;

use super::Figures;

/// The figures as a table in Markdown; where a run of the unreplicated server comes before one of the
/// cluster under the same load, what part of it the cluster reached.
pub(crate) fn table(all: &[Figures]) -> String {
    let mut text = String::from(
        "| target | clients x outstanding | op/s | p50 us | p99 us | p99.9 us | errors | CPU us/op | \
         of it client | of the twin's op/s | CPU over the twin's |\n\
         |---|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for figures in all {
        let Figures { target, clients, outstanding, ops_per_s, p50_us, p99_us, p999_us, errors, .. } =
            figures;
        let twin = all.iter().find(|other| is_twin(other, figures));
        let cpu = figures.cpu_us_per_op.map_or_else(|| "-".to_owned(), |cpu| format!("{cpu:.2}"));
        let part = twin.map_or_else(String::new, |twin| format!("{:.2}", ops_per_s / twin.ops_per_s));
        let over = twin
            .and_then(|twin| Some(figures.cpu_us_per_op? / twin.cpu_us_per_op?))
            .map_or_else(String::new, |over| format!("{over:.1}"));
        let client = figures.client_cpu_us_per_op;
        // Writing to a string does not fail.
        let _written = writeln!(
            text,
            "| {target} | {clients} x {outstanding} | {ops_per_s:.0} | {p50_us} | {p99_us} | {p999_us} | \
             {errors} | {cpu} | {client:.2} | {part} | {over} |"
        );
    }
    text
}

fn is_twin(other: &Figures, figures: &Figures) -> bool {
    other.target != figures.target
        && figures.target == "cluster"
        && (other.clients, other.outstanding) == (figures.clients, figures.outstanding)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(target: &'static str, outstanding: usize, ops_per_s: f64) -> Figures {
        Figures {
            target,
            replicas: 4,
            clients: 1,
            outstanding,
            op_bytes: 0,
            reply_bytes: 0,
            read_only: false,
            seconds: 1.0,
            ops: 10,
            ops_per_s,
            p50_us: 1,
            p99_us: 2,
            p999_us: 3,
            errors: 0,
            cpu_us_per_op: Some(1e6 / ops_per_s),
            client_cpu_us_per_op: 0.5,
        }
    }

    #[test]
    fn a_run_is_compared_with_its_twin_under_the_same_load() {
        let text = table(&[
            figures("unreplicated", 1, 100.0),
            figures("cluster", 1, 25.0),
            figures("cluster", 2, 50.0),
        ]);
        let lines: Vec<&str> = text.lines().skip(2).collect();
        assert!(lines[0].ends_with("|  |  |") && lines[2].ends_with("|  |  |"), "{text}");
        assert!(lines[1].ends_with("| 0.25 | 4.0 |"), "{text}");
    }
}
