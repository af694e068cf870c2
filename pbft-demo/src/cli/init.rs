use super::InitArgs;
use crate::Failure;
use crate::config::{CLUSTER_FILE, NewCluster, create};

pub(super) fn run(args: InitArgs) -> Result<(), Failure> {
    let InitArgs { dir, replicas, clients, base_port } = args;
    create(&dir, NewCluster { replicas, clients, base_port })?;
    let config = dir.join(CLUSTER_FILE);
    let config = config.display();
    println!("wrote {config} and the secret keys of {replicas} replicas and {clients} clients (mode 0600)");
    println!("next: pbft-demo replica --config {config} --id I    for each I in 0..{replicas}");
    println!("then: pbft-demo counter --config {config} add NAME 1");
    Ok(())
}
