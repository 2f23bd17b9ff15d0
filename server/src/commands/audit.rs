//! `audit verify`: the hash chain of an export, checked without a server or a database.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use agentframer::domain::audit::{Linked, Verifier};
use agentframer::domain::proof::{Fault, Proof, Witness};
use agentframer::engine::log::signing;
use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;
use serde_json::Value;

use crate::cli::{Failure, say};

/// The part of a checkpoint that a log must agree with.
#[derive(Debug, Deserialize)]
struct Checkpoint {
    #[serde(default)]
    number: i64,
    #[serde(alias = "last")]
    last_seq: i64,
    #[serde(alias = "head")]
    head_hash: String,
}

/// Exit code 1 names the first bad row; 2 says why the file cannot be read.
pub fn verify(file: &Path, checkpoint: Option<&Path>) -> Result<(), Failure> {
    let checkpoint = checkpoint.map(read_checkpoint).transpose()?;
    let mut input = unpacked(open(file)?);
    let proof = Proof::new(Verifier::default(), checkpoint);
    let mut chain = Chain { proof, place: file.display().to_string() };
    if begins_with_bracket(&mut input).map_err(|error| chain.unreadable(1, &error))? {
        let rows: Vec<Linked> =
            serde_json::from_reader(input).map_err(|error| chain.unreadable(error.line(), &error))?;
        rows.iter().try_for_each(|row| chain.add(row))?;
    } else {
        chain.add_lines(input)?;
    }
    chain.end()
}

struct Chain {
    proof: Proof,
    place: String,
}

impl Chain {
    fn add(&mut self, row: &Linked) -> Result<(), Failure> {
        self.proof.next(row).map_err(broken)
    }

    fn add_lines(&mut self, input: impl BufRead) -> Result<(), Failure> {
        for (index, line) in input.lines().enumerate() {
            let line = line.map_err(|error| self.unreadable(index + 1, &error))?;
            if line.trim().is_empty() {
                continue;
            }
            let row = serde_json::from_str(&line).map_err(|error| self.unreadable(index + 1, &error))?;
            self.add(&row)?;
        }
        Ok(())
    }

    fn end(self) -> Result<(), Failure> {
        self.proof.end(None).map_err(broken)?;
        let (seq, head) = self.proof.head();
        if seq == 0 {
            return Err(Failure::wrong(format!("{} holds no row of a log.", self.place)));
        }
        let rows = self.proof.rows();
        say(format_args!(
            "Whole: {rows} rows from row {} up to row {seq}, head {head}.",
            seq + 1 - rows as i64
        ));
        Ok(())
    }

    fn unreadable(&self, line: usize, error: &dyn std::fmt::Display) -> Failure {
        Failure::wrong(format!("{}, line {line}, is not a row of an exported log: {error}.", self.place))
    }
}

fn open(file: &Path) -> Result<Box<dyn BufRead>, Failure> {
    if file == Path::new("-") {
        return Ok(Box::new(BufReader::new(io::stdin())));
    }
    match File::open(file) {
        Ok(opened) => Ok(Box::new(BufReader::new(opened))),
        Err(error) => Err(Failure::wrong(format!("{} cannot be opened: {error}.", file.display()))),
    }
}

/// One that carries a signature must be what was signed; who signed it, the operator compares with `keys.json`.
fn read_checkpoint(file: &Path) -> Result<Witness, Failure> {
    let place = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::wrong(format!("{place} cannot be read: {error}.")))?;
    let not_one = |error| Failure::wrong(format!("{place} is not a checkpoint: {error}."));
    let signed: Value = serde_json::from_str(&text).map_err(not_one)?;
    if signed.get("signature").is_some() {
        signing::verify(&signed, None)
            .map_err(|fault| Failure::failed(format!("{place} is not believed: {fault}.")))?;
    }
    let Checkpoint { number, last_seq, head_hash } = serde_json::from_value(signed).map_err(not_one)?;
    Ok(Witness { number, last_seq, head_hash })
}

fn broken(fault: Fault) -> Failure {
    Failure::failed(format!("The log is broken: {fault}."))
}

/// Daily exports are compressed; several of them, one behind the other, are one log again.
fn unpacked(mut input: Box<dyn BufRead>) -> Box<dyn BufRead> {
    match input.fill_buf() {
        Ok([0x1f, 0x8b, ..]) => Box::new(BufReader::new(MultiGzDecoder::new(input))),
        _ => input,
    }
}

fn begins_with_bracket(input: &mut impl BufRead) -> io::Result<bool> {
    let start = input.fill_buf()?;
    Ok(start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'['))
}
