//! Cluster files: the agreed configuration and what each replica chooses.

use std::path::Path;

use pbft_demo::config::{AgreedSection, ClientSection, Cluster, ClusterFile, ReplicaSection};

use crate::Target;

pub(crate) const TARGET: Target =
    Target { name: "cluster_file", run, seeds, memory_base: 1 << 20, memory_per_byte: 4 << 10 };

fn run(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let path = Path::new("cluster.toml");
    match Cluster::parse(path, text) {
        Ok(cluster) => {
            let again = toml::to_string_pretty(&cluster.file).expect("it was read from TOML");
            let again = Cluster::parse(path, &again).expect("what was accepted is accepted");
            assert_eq!(again.file, cluster.file);
            assert_eq!(again.group.agreed, cluster.group.agreed);
        }
        Err(problems) => assert!(!problems.found.is_empty(), "a file is refused for a reason"),
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let key = |id: u32| format!("{id:064x}");
    let replica = |id: u8| ReplicaSection {
        id,
        address: format!("127.0.0.1:{}", 7_000 + u16::from(id)),
        admin: format!("127.0.0.1:{}", 7_100 + u16::from(id)),
        public_key: key(id.into()),
    };
    let agreed = AgreedSection { cluster: "7".repeat(32), ..AgreedSection::default() };
    let mut file = ClusterFile {
        agreed,
        replicas: (0..4).map(replica).collect(),
        clients: vec![ClientSection { id: 1, public_key: key(200) }],
        ..ClusterFile::default()
    };
    let text = |file: &ClusterFile| toml::to_string(file).expect("only types that TOML has").into_bytes();
    let good = text(&file);
    file.agreed.window += 1;
    file.replicas[1].id = 3;
    file.tuning.pipeline = 0;
    vec![good, text(&file), b"[agreed]\nwindw = 512\n[[replicas]]\nid = -1\n".to_vec(), Vec::new()]
}
