//! What all benchmarks share: their arguments, the kinds of database, their percentiles and where results go.

pub mod place;

use std::path::PathBuf;

use serde_json::Value;

/// The command line: `--name value`.
pub struct Args(Vec<String>);

impl Args {
    /// Without what cargo adds.
    pub fn read() -> Self {
        Self(std::env::args().skip(1).filter(|arg| arg != "--bench").collect())
    }

    /// The value behind `--name`.
    pub fn named(&self, name: &str) -> Option<&str> {
        let at = self.0.iter().position(|arg| arg.strip_prefix("--") == Some(name))?;
        self.0.get(at + 1).map(String::as_str)
    }

    pub fn number(&self, name: &str, default: i64) -> i64 {
        self.named(name).map_or(default, |text| text.parse().unwrap())
    }

    /// SQLite and PostgreSQL, or the one that `--on` names.
    pub fn databases(&self) -> impl Iterator<Item = &'static str> {
        let only = self.named("on");
        ["SQLite", "PostgreSQL"].into_iter().filter(move |on| only.is_none_or(|only| only == *on))
    }

    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// The time below which so many per cent lie.
pub fn percentile(times: &mut [f64], percent: usize) -> f64 {
    times.sort_unstable_by(f64::total_cmp);
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// To a file of that name in the folder that xtask names, or in `target/bench` of this checkout.
pub fn write(file: &str, results: &Value) {
    let named = std::env::var_os("AGENTFRAMER_BENCH_RESULTS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| concat!(env!("CARGO_MANIFEST_DIR"), "/../target/bench").into());
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join(file);
    std::fs::write(&file, format!("{results:#}\n")).unwrap();
    println!("written to {}", file.display());
}
