//! The lines of a text or file, one at a time, counted.

use std::fmt::Display;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use super::words::Fault;

/// Longest line of atoms that there can be: of a file that has no line ends no more is read.
const LONGEST: u64 = 1 << 16;

pub struct Lines<'a> {
    reader: Box<dyn BufRead + 'a>,
    buffer: Vec<u8>,
    number: usize,
}

impl<'a> Lines<'a> {
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self::of(BufReader::with_capacity(1 << 20, File::open(path)?)))
    }

    pub fn of(text: impl BufRead + 'a) -> Self {
        Self { reader: Box::new(text), buffer: Vec::new(), number: 0 }
    }

    /// Number of the line that was read last, from 1.
    pub fn number(&self) -> usize {
        self.number
    }

    /// The next line without its end; none at the end of the file.
    pub fn next(&mut self) -> Result<Option<&str>, String> {
        self.buffer.clear();
        let read = (&mut self.reader).take(LONGEST).read_until(b'\n', &mut self.buffer);
        let count = read.map_err(|error| format!("the file cannot be read on: {error}"))?;
        if count == 0 {
            return Ok(None);
        }
        self.number += 1;
        if count as u64 == LONGEST {
            return Err("the line is too long: this is not a text".to_owned());
        }
        let text = std::str::from_utf8(&self.buffer).map_err(|_| "this is not a text".to_owned())?;
        Ok(Some(text.trim_end_matches(['\n', '\r'])))
    }

    /// The next line, which must be there, being `what`.
    pub fn needed(&mut self, what: impl Display) -> Result<&str, String> {
        let number = self.number;
        self.next()?.ok_or_else(|| match number {
            0 => "it is empty".to_owned(),
            _ => format!("the file ends after this line, where {what} must follow"),
        })
    }

    /// A problem with the line that was read last, or with the whole if none has been.
    pub fn fault(&self, problem: String) -> Fault {
        match self.number {
            0 => Fault::of_file(problem),
            line => Fault::at(line, problem),
        }
    }
}
