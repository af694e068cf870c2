//! Writes what correct nodes make into the corpus:
//!
//! ```text
//! cargo run -p pbft-fuzz --example seeds
//! ```

use std::fs;

use pbft_fuzz::{folder, targets};

fn main() -> std::io::Result<()> {
    for target in targets() {
        let folder = folder(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:02}")), seed)?;
        }
    }
    Ok(())
}
