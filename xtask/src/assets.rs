//! The folder that the server embeds: `pkg/` with WASM, JavaScript and CSS, and all of `public/`,
//! each compressible file with a `.br` and a `.gz` beside it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::css;
use crate::failure::{During, Failure, Result};
use crate::wasm::{self, Build, Toolchain};
use crate::workspace::Workspace;

const COMPRESSIBLE: [&str; 10] =
    ["css", "html", "ico", "js", "json", "svg", "txt", "wasm", "webmanifest", "xml"];

/// Builds everything into the site folder; files that stay the same keep their time, so that the
/// server is not compiled again.
pub fn build_site(workspace: &Workspace, toolchain: Toolchain, build: Build) -> Result<()> {
    let pkg = wasm::build(workspace, toolchain, build)?;
    let mut site = Site { folder: workspace.site(), files: BTreeSet::new() };
    site.add_folder(&pkg, Path::new("pkg"))?;
    let style = workspace.root.join("style/main.css");
    if style.is_file() {
        site.add(Path::new("pkg/agentframer.css"), css::bundle(&style)?.as_bytes())?;
    }
    let public = workspace.root.join("public");
    if public.is_dir() {
        site.add_folder(&public, Path::new(""))?;
    }
    if build == Build::Release {
        site.compress()?;
    }
    site.remove_others()
}

struct Site {
    folder: PathBuf,
    /// What belongs here, relative to the folder.
    files: BTreeSet<PathBuf>,
}

impl Site {
    fn add_folder(&mut self, source: &Path, below: &Path) -> Result<()> {
        for file in files_below(source)? {
            let relative = file.strip_prefix(source).unwrap_or(&file);
            let content = fs::read(&file).during(format_args!("read {}", file.display()))?;
            self.add(&below.join(relative), &content)?;
        }
        Ok(())
    }

    fn add(&mut self, relative: &Path, content: &[u8]) -> Result<()> {
        let file = self.folder.join(relative);
        if !self.files.insert(relative.to_path_buf()) {
            return Err(Failure::new(format!("two sources for {}: rename one", relative.display())));
        }
        if fs::read(&file).is_ok_and(|old| old == content) {
            return Ok(());
        }
        let folder = file.parent().unwrap_or(&self.folder);
        fs::create_dir_all(folder).during(format_args!("create {}", folder.display()))?;
        fs::write(&file, content).during(format_args!("write {}", file.display()))
    }

    fn compress(&mut self) -> Result<()> {
        let originals: Vec<PathBuf> =
            self.files.iter().filter(|file| is_compressible(file)).cloned().collect();
        for relative in originals {
            let file = self.folder.join(&relative);
            compress_to(&file, "br", write_brotli)?;
            compress_to(&file, "gz", write_gzip)?;
            self.files.extend(["br", "gz"].map(|extension| with_suffix(&relative, extension)));
        }
        Ok(())
    }

    /// What an earlier build left and this one does not have.
    fn remove_others(&self) -> Result<()> {
        for file in files_below(&self.folder)? {
            if !self.files.contains(file.strip_prefix(&self.folder).unwrap_or(&file)) {
                fs::remove_file(&file).during(format_args!("remove {}", file.display()))?;
            }
        }
        Ok(())
    }
}

fn is_compressible(file: &Path) -> bool {
    file.extension().and_then(OsStr::to_str).is_some_and(|extension| COMPRESSIBLE.contains(&extension))
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Skips a compressed file that is not older than its original.
fn compress_to(file: &Path, suffix: &str, write: fn(&[u8], File) -> std::io::Result<()>) -> Result<()> {
    let compressed = with_suffix(file, suffix);
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    let original = changed(file).during(format_args!("read the time of {}", file.display()))?;
    if changed(&compressed).is_ok_and(|time| time >= original) {
        return Ok(());
    }
    // Renamed when whole: an interrupted run leaves no half file that looks up to date.
    let partial = with_suffix(file, "partial");
    let content = fs::read(file).during(format_args!("read {}", file.display()))?;
    let output = File::create(&partial).during(format_args!("create {}", partial.display()))?;
    write(&content, output).during(format_args!("compress {}", file.display()))?;
    fs::rename(&partial, &compressed).during(format_args!("write {}", compressed.display()))
}

fn write_brotli(content: &[u8], output: File) -> std::io::Result<()> {
    let mut writer = brotli::CompressorWriter::new(output, 1 << 16, 11, 22);
    writer.write_all(content)?;
    writer.flush()
}

fn write_gzip(content: &[u8], output: File) -> std::io::Result<()> {
    let mut writer = flate2::write::GzEncoder::new(output, flate2::Compression::best());
    writer.write_all(content)?;
    writer.finish().map(|_| ())
}

/// Every file below a folder, sorted; names that start with a dot are left out.
pub fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        let entries = fs::read_dir(&folder).during(format_args!("list {}", folder.display()))?;
        for entry in entries {
            let entry = entry.during(format_args!("list {}", folder.display()))?;
            let is_hidden = entry.file_name().to_string_lossy().starts_with('.');
            match entry.path() {
                _ if is_hidden => {}
                path if path.is_dir() => folders.push(path),
                path => files.push(path),
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn site_in(folder: &Path) -> Site {
        Site { folder: folder.to_path_buf(), files: BTreeSet::new() }
    }

    #[test]
    fn compressed_files_hold_the_original() {
        let folder = tempfile::tempdir().unwrap();
        let mut site = site_in(folder.path());
        let text = "body { color: black }\n".repeat(100);
        site.add(Path::new("pkg/a.css"), text.as_bytes()).unwrap();
        site.compress().unwrap();
        let mut from_gzip = String::new();
        let gzip = File::open(folder.path().join("pkg/a.css.gz")).unwrap();
        flate2::read::GzDecoder::new(gzip).read_to_string(&mut from_gzip).unwrap();
        let mut from_brotli = String::new();
        let brotli = File::open(folder.path().join("pkg/a.css.br")).unwrap();
        brotli::Decompressor::new(brotli, 4096).read_to_string(&mut from_brotli).unwrap();
        assert_eq!((from_gzip.as_str(), from_brotli.as_str()), (text.as_str(), text.as_str()));
    }

    #[test]
    fn an_unchanged_file_keeps_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.txt");
        site_in(folder.path()).add(Path::new("a.txt"), b"one").unwrap();
        let before = fs::metadata(&file).unwrap().modified().unwrap();
        site_in(folder.path()).add(Path::new("a.txt"), b"one").unwrap();
        assert_eq!(fs::metadata(&file).unwrap().modified().unwrap(), before);
    }

    #[test]
    fn leftovers_of_an_earlier_build_go() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("old.js"), "old").unwrap();
        let mut site = site_in(folder.path());
        site.add(Path::new("new.js"), b"new").unwrap();
        site.remove_others().unwrap();
        assert_eq!(files_below(folder.path()).unwrap(), [folder.path().join("new.js")]);
    }

    #[test]
    fn two_sources_for_one_file_are_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let mut site = site_in(folder.path());
        site.add(Path::new("a.txt"), b"one").unwrap();
        assert!(site.add(Path::new("a.txt"), b"two").is_err());
    }
}
