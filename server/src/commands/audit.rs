//! `audit verify`: the hash chain of an export, checked without a server or a database.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use agentframer::domain::audit::{ExportedRow, Verifier};
use agentframer::domain::proof::{Fault, Proof, Witness};
use agentframer::engine::log::signing;
use flate2::bufread::MultiGzDecoder;
use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::Value;

use crate::cli::{Failure, say};

/// The part of a checkpoint that a log must agree with.
#[derive(Debug, Deserialize)]
struct Checkpoint {
    #[serde(default)]
    number: i64,
    first_seq: Option<i64>,
    #[serde(alias = "last")]
    last_seq: i64,
    #[serde(alias = "head")]
    head_hash: String,
}

/// A checkpoint that was read, and a sentence that says who vouches for it.
struct Believed {
    checkpoint: Checkpoint,
    by: String,
}

/// Exit code 1 names the first bad row; 2 says why the file cannot be read.
pub fn verify(file: &Path, checkpoint: Option<&Path>, keys: Option<&Path>) -> Result<(), Failure> {
    let keys = keys.map(read).transpose()?;
    let believed = checkpoint.map(|checkpoint| read_checkpoint(checkpoint, keys.as_ref())).transpose()?;
    let mut input = unpacked(open(file)?);
    let mut chain = Chain::new(file, believed.as_ref().map(|believed| &believed.checkpoint));
    if begins_with_bracket(&mut input).map_err(|error| chain.unreadable(1, &error))? {
        chain.add_array(input)?;
    } else {
        chain.add_lines(input)?;
    }
    chain.end()?;
    if let Some(believed) = believed {
        say(&believed.by);
    }
    Ok(())
}

struct Chain {
    proof: Proof,
    /// The rows that the checkpoint covers; their first is known of whole checkpoints only.
    covered: Option<(i64, i64)>,
    place: String,
}

impl Chain {
    fn new(file: &Path, checkpoint: Option<&Checkpoint>) -> Self {
        let witness = checkpoint.map(|point| Witness {
            number: point.number,
            last_seq: point.last_seq,
            head_hash: point.head_hash.clone(),
        });
        let covered = checkpoint.and_then(|point| Some((point.first_seq?, point.last_seq)));
        Self { proof: Proof::new(Verifier::default(), witness), covered, place: file.display().to_string() }
    }

    fn add(&mut self, row: ExportedRow) -> Result<(), Failure> {
        let row = row.checked().map_err(|fault| broken(fault.into()))?;
        if let Some((first, last)) = self.covered.take()
            && (first + 1..=last).contains(&row.seq)
        {
            return Err(Failure::failed(format!(
                "The log begins only at row {}, but the checkpoint covers the rows from {first} on: those before are missing. \
                 Export from there.",
                row.seq
            )));
        }
        self.proof.next(&row).map_err(broken)
    }

    fn add_lines(&mut self, input: impl BufRead) -> Result<(), Failure> {
        for (index, line) in input.lines().enumerate() {
            let line = line.map_err(|error| self.unreadable(index + 1, &error))?;
            if line.trim().is_empty() {
                continue;
            }
            let row = serde_json::from_str(&line).map_err(|error| self.unreadable(index + 1, &error))?;
            self.add(row)?;
        }
        Ok(())
    }

    /// Row by row: an array may be longer than the memory.
    fn add_array(&mut self, input: impl BufRead) -> Result<(), Failure> {
        let (mut json, mut fault) = (serde_json::Deserializer::from_reader(input), None);
        let read = json.deserialize_seq(Rows { chain: self, fault: &mut fault }).and_then(|()| json.end());
        match (fault, read) {
            (Some(fault), _) => Err(fault),
            (None, Err(error)) => Err(self.unreadable(error.line(), &error)),
            (None, Ok(())) => Ok(()),
        }
    }

    fn end(&self) -> Result<(), Failure> {
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

/// One that carries a signature must be what was signed, and with `keys` by one of them.
fn read_checkpoint(file: &Path, keys: Option<&Value>) -> Result<Believed, Failure> {
    let (place, signed) = (file.display(), read(file)?);
    let by = if signed.get("signature").is_none() && keys.is_none() {
        "The checkpoint is unsigned: anybody can have written it.".to_owned()
    } else {
        let key = signing::verify(&signed, keys)
            .map_err(|fault| Failure::failed(format!("{place} is not believed: {fault}.")))?;
        match keys {
            Some(_) => format!("The checkpoint was signed with {key}, which is among the keys."),
            None => format!(
                "The checkpoint was signed with {key}; the signer was not checked: anybody can sign. Name a copy of \
                 /reference/keys.json with --keys."
            ),
        }
    };
    let checkpoint = serde_json::from_value(signed)
        .map_err(|error| Failure::wrong(format!("{place} is not a checkpoint: {error}.")))?;
    Ok(Believed { checkpoint, by })
}

fn read(file: &Path) -> Result<Value, Failure> {
    let place = file.display();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure::wrong(format!("{place} cannot be read: {error}.")))?;
    serde_json::from_str(&text).map_err(|error| Failure::wrong(format!("{place} is not JSON: {error}.")))
}

/// Takes the rows of an array as they are read.
struct Rows<'a> {
    chain: &'a mut Chain,
    fault: &'a mut Option<Failure>,
}

impl<'de> Visitor<'de> for Rows<'_> {
    type Value = ();

    fn expecting(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("rows of an exported log")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut rows: A) -> Result<(), A::Error> {
        while let Some(row) = rows.next_element::<ExportedRow>()? {
            if let Err(fault) = self.chain.add(row) {
                *self.fault = Some(fault);
                return Err(A::Error::custom("the log is broken"));
            }
        }
        Ok(())
    }
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
