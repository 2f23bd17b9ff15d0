//! `audit verify`: the hash chain of an export, checked without a server or a database.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use agentframer::domain::audit::{Linked, Verifier};
use serde::Deserialize;

use crate::cli::{Failure, say};

/// The part of a checkpoint that a log must agree with.
#[derive(Debug, Deserialize)]
struct Checkpoint {
    #[serde(alias = "last")]
    last_seq: i64,
    #[serde(alias = "head")]
    head_hash: String,
}

/// Exit code 1 names the first bad row; 2 says why the file cannot be read.
pub fn verify(file: &Path, checkpoint: Option<&Path>) -> Result<(), Failure> {
    let checkpoint = checkpoint.map(read_checkpoint).transpose()?;
    let mut input = open(file)?;
    let mut chain = Chain { verifier: Verifier::default(), checkpoint, place: file.display().to_string() };
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
    verifier: Verifier,
    /// Taken away once a row agreed with it.
    checkpoint: Option<Checkpoint>,
    place: String,
}

impl Chain {
    fn add(&mut self, row: &Linked) -> Result<(), Failure> {
        self.verifier.next(row).map_err(|broken| Failure::failed(format!("The log is broken: {broken}.")))?;
        match &self.checkpoint {
            Some(point) if point.last_seq == row.seq && point.head_hash != row.hash => {
                let message = "has another hash than the checkpoint, so the log was rewritten before it";
                Err(Failure::failed(format!(
                    "The log is broken: row {} ({}) {message}.",
                    row.seq, row.entry.request_id
                )))
            }
            Some(point) if point.last_seq == row.seq => {
                self.checkpoint = None;
                Ok(())
            }
            _ => Ok(()),
        }
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
        if let Some(point) = self.checkpoint {
            let message = format!("The log is broken: row {} of the checkpoint is missing.", point.last_seq);
            return Err(Failure::failed(message));
        }
        let Some((seq, head)) = self.verifier.head() else {
            return Err(Failure::wrong(format!("{} holds no row of a log.", self.place)));
        };
        say(format_args!("Whole: {} rows up to row {seq}, head {head}.", self.verifier.rows()));
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

fn read_checkpoint(file: &Path) -> Result<Checkpoint, Failure> {
    let place = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::wrong(format!("{place} cannot be read: {error}.")))?;
    serde_json::from_str(&text)
        .map_err(|error| Failure::wrong(format!("{place} is not a checkpoint: {error}.")))
}

fn begins_with_bracket(input: &mut impl BufRead) -> io::Result<bool> {
    let start = input.fill_buf()?;
    Ok(start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'['))
}
