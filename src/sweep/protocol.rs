//! What a sweep and its worker processes say to each other: one line of JSON a message.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Point;

/// What a worker is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// Number of the point, from 0.
    pub index: usize,
    pub point: Point,
}

impl Order {
    /// The record of a point that came to nothing.
    pub fn failed(self, why: String, seconds: f64) -> Record {
        let Self { index, point } = self;
        Record { index, point, outcome: Outcome::Failed(why), seconds, files: BTreeMap::new(), calls: Value::Null }
    }
}

/// How a point ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Results by name.
    Values(Point),
    /// Why there are none.
    Failed(String),
}

/// All that is kept of a point.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Number of the point, from 0.
    pub index: usize,
    pub point: Point,
    pub outcome: Outcome,
    pub seconds: f64,
    /// Digests of the files that it depends on, by name, for whoever knows how to make them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// What kernels were called with, for whoever knows how to read it.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub calls: Value,
}

/// What a worker says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Report {
    /// It can take a point; said before each.
    Ready,
    /// It cannot work at all.
    Refused(String),
    /// The script prints.
    Print(String),
    /// A message that is not a result.
    Tell(String),
    Done(Record),
}

/// Reads messages from `input`, a line each, until there are no more, or `take` is false.
///
/// A line that is not a message ends it: who sends that is not the one who was expected.
pub fn listen<T: for<'a> Deserialize<'a>>(input: impl Read, mut take: impl FnMut(T) -> bool) {
    for line in BufReader::new(input).lines() {
        let message = line.ok().and_then(|line| serde_json::from_str(&line).ok());
        if !message.is_some_and(&mut take) {
            return;
        }
    }
}
