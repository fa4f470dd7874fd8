//! Functions of the script language itself, where its own would surprise.
//!
//! Its `sort` and `dedup` keep the errors of their closures to themselves, its ranges have no `map`, and functions of numbers do not take whole ones.

use std::cmp::Ordering;
use std::ops::{Range, RangeInclusive};

use rhai::{Array, Dynamic, Engine, FnPtr, NativeCallContext};

use super::{ScriptResult, fault};

type OfNumber = fn(f64) -> f64;

/// Puts these in place of the language's own.
pub fn register(engine: &mut Engine) {
    engine.register_fn("sort", sort);
    engine.register_fn("sort", sort_by);
    engine.register_fn("sort_by", sort_by);
    engine.register_fn("dedup", dedup_by);
    engine.register_fn("map", |call: NativeCallContext, range: Range<i64>, closure: FnPtr| map(&call, range, &closure));
    engine.register_fn("map", |call: NativeCallContext, range: RangeInclusive<i64>, closure: FnPtr| {
        map(&call, range, &closure)
    });
    let of_whole: [(&str, OfNumber); 13] = [
        ("sqrt", f64::sqrt),
        ("exp", f64::exp),
        ("ln", f64::ln),
        ("log", f64::log10),
        ("sin", f64::sin),
        ("cos", f64::cos),
        ("tan", f64::tan),
        ("asin", f64::asin),
        ("acos", f64::acos),
        ("atan", f64::atan),
        ("round", f64::round),
        ("floor", f64::floor),
        ("ceiling", f64::ceil),
    ];
    for (name, function) in of_whole {
        engine.register_fn(name, move |x: i64| function(x as f64));
    }
}

/// What a closure gives of each number of a range.
fn map(call: &NativeCallContext, range: impl Iterator<Item = i64>, closure: &FnPtr) -> ScriptResult<Array> {
    let most = call.engine().max_array_size();
    let mut made = Array::new();
    for number in range {
        if most > 0 && made.len() == most {
            return Err(fault(format!("the range has more than {most} numbers, too many for an array")));
        }
        made.push(closure.call_within_context(call, (number,))?);
    }
    Ok(made)
}

/// Sorts numbers or strings, the smallest first.
fn sort(array: &mut Array) -> ScriptResult<()> {
    let has_order = |value: &Dynamic| is_number(value) || value.is_string() || value.is_char() || value.is_bool();
    if let Some(odd) = array.iter().find(|value| !has_order(value)) {
        let kind = super::type_of(odd);
        let why = format!(
            "sort needs a closure that compares values of the type {kind}, such as list.sort(|a, b| a.x - b.x)"
        );
        return Err(fault(why));
    }
    let alike = array.iter().all(is_number) || array.windows(2).all(|pair| pair[0].type_id() == pair[1].type_id());
    if !alike {
        return Err(fault(
            "numbers, strings and truth values cannot be sorted together; give a closure that compares them",
        ));
    }
    array.sort_by(|a, b| match (number(a), number(b)) {
        (Some(a), Some(b)) => a.total_cmp(&b),
        _ => a.to_string().cmp(&b.to_string()),
    });
    Ok(())
}

fn is_number(value: &Dynamic) -> bool {
    value.is_int() || value.is_float()
}

fn number(value: &Dynamic) -> Option<f64> {
    value.as_float().ok().or_else(|| value.as_int().ok().map(|value| value as f64))
}

/// Sorts by a closure that gives a negative number, zero or a positive one, or whether the first comes before the second.
fn sort_by(call: NativeCallContext, array: &mut Array, compare: FnPtr) -> ScriptResult<()> {
    let ask = |a: &Dynamic, b: &Dynamic| compare.call_raw(&call, None, [a.clone(), b.clone()]);
    let ordering = |a: &Dynamic, b: &Dynamic| {
        let answer = ask(a, b)?;
        match (number(&answer), answer.as_bool()) {
            (Some(difference), _) => Ok(difference.partial_cmp(&0.0).unwrap_or(Ordering::Equal)),
            (None, Ok(true)) => Ok(Ordering::Less),
            // neither before the other: they stay in the order they are in
            (None, Ok(false)) => Ok(if ask(b, a)?.as_bool() == Ok(true) { Ordering::Greater } else { Ordering::Equal }),
            (None, Err(kind)) => {
                Err(fault(format!("the closure of sort gives a number, as a - b does, or true or false, not {kind}")))
            }
        }
    };
    let sorted = merge_sorted(std::mem::take(array), &ordering);
    let (result, items) = match sorted {
        Ok(items) => (Ok(()), items),
        Err((error, items)) => (Err(error), items),
    };
    *array = items;
    result
}

type Unsorted = (Box<rhai::EvalAltResult>, Array);

/// A stable merge sort whose comparison may fail; the items, in some order, come back with the error.
fn merge_sorted(
    mut items: Array,
    ordering: &impl Fn(&Dynamic, &Dynamic) -> ScriptResult<Ordering>,
) -> Result<Array, Unsorted> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let left = match merge_sorted(items, ordering) {
        Ok(left) => left,
        Err((error, left)) => return Err((error, [left, right].concat())),
    };
    let right = match merge_sorted(right, ordering) {
        Ok(right) => right,
        Err((error, right)) => return Err((error, [left, right].concat())),
    };
    let mut merged = Array::with_capacity(left.len() + right.len());
    let (mut left, mut right) = (left.into_iter().peekable(), right.into_iter().peekable());
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        let next = match ordering(a, b) {
            Ok(Ordering::Greater) => right.next(),
            Ok(_) => left.next(),
            Err(error) => {
                merged.extend(left);
                merged.extend(right);
                return Err((error, merged));
            }
        };
        merged.extend(next);
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

/// Leaves of neighbours that a closure calls equal the first.
fn dedup_by(call: NativeCallContext, array: &mut Array, same: FnPtr) -> ScriptResult<()> {
    let mut kept: Array = Vec::with_capacity(array.len());
    for item in array.iter() {
        let again = match kept.last() {
            Some(last) => same.call_raw(&call, None, [last.clone(), item.clone()])?.as_bool(),
            None => Ok(false),
        };
        match again {
            Ok(true) => {}
            Ok(false) => kept.push(item.clone()),
            Err(kind) => return Err(fault(format!("the closure of dedup gives true or false, not {kind}"))),
        }
    }
    *array = kept;
    Ok(())
}
