//! Values as the prompt shows them: one line for one thing, arrays and maps short in the middle when they are long.

use rhai::{Array, Dynamic, Engine, Map, Scope};

use super::assistant::cut;
use crate::script::Table;
use crate::script::type_of;

/// Entries of a map that are shown at most, one a line.
const MOST_ENTRIES: usize = 40;
/// Room for a value within another, at least.
const LEAST_ROOM: usize = 16;

/// A value as the answer to a line; `columns` wide where it can be cut.
pub fn answer(engine: &Engine, value: &Dynamic, columns: usize) -> String {
    if let Ok(text) = value.as_immutable_string_ref() {
        return text.to_string();
    }
    if let Ok(map) = value.as_map_ref() {
        let line = of_map(engine, &map, usize::MAX, columns);
        return if line.chars().count() <= columns && map.len() <= MOST_ENTRIES {
            line
        } else {
            below_each_other(engine, &map, columns)
        };
    }
    if value.is_array() { short(engine, value, columns) } else { own(engine, value) }
}

/// A value on one line of `room` characters.
pub fn short(engine: &Engine, value: &Dynamic, room: usize) -> String {
    if value.is_unit() {
        return "()".into();
    }
    if let Ok(text) = value.as_immutable_string_ref() {
        return cut(&format!("{:?}", &*text), room);
    }
    if let Ok(number) = value.as_float() {
        return of_float(number);
    }
    if let Ok(array) = value.as_array_ref() {
        return of_array(engine, &array, room);
    }
    if let Ok(map) = value.as_map_ref() {
        return of_map(engine, &map, room, room / 2);
    }
    if let Some(table) = value.read_lock::<Table>() {
        return cut(&format!("table of {} rows: {}", table.rows().len(), table.columns().join(", ")), room);
    }
    let text = own(engine, value);
    let mut lines = text.lines();
    let first = lines.next().unwrap_or("");
    cut(&if lines.next().is_some() { format!("{first} …") } else { first.to_owned() }, room)
}

/// What a value says of itself.
fn own(engine: &Engine, value: &Dynamic) -> String {
    if value.is_fnptr() {
        return "closure".into();
    }
    let mut scope = Scope::new();
    scope.push_dynamic("value", value.clone());
    engine.eval_with_scope(&mut scope, "value.to_string()").unwrap_or_else(|_| type_of(value).to_owned())
}

/// Six significant digits are enough among others.
fn of_float(number: f64) -> String {
    let size = number.abs();
    let text = if size != 0.0 && !(1e-4..1e7).contains(&size) {
        return format!("{number:.5e}");
    } else {
        let digits = (5 - size.max(1e-9).log10().floor() as i32).clamp(1, 9) as usize;
        format!("{number:.digits$}")
    };
    let trimmed = text.trim_end_matches('0');
    if trimmed.ends_with('.') { format!("{trimmed}0") } else { trimmed.to_owned() }
}

fn of_array(engine: &Engine, array: &Array, room: usize) -> String {
    let inner = (room / 3).max(LEAST_ROOM);
    let parts = |i: usize| short(engine, &array[i], inner);
    match shortened(array.len(), room.saturating_sub(2), parts) {
        (text, false) => format!("[{text}]"),
        (_, true) => {
            let count = format!(" ({} items)", array.len());
            let (text, _) = shortened(array.len(), room.saturating_sub(2 + count.len()), parts);
            format!("[{text}]{count}")
        }
    }
}

fn of_map(engine: &Engine, map: &Map, room: usize, inner: usize) -> String {
    let entries: Vec<(&str, &Dynamic)> = map.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let part = |i: usize| format!("{}: {}", entries[i].0, short(engine, entries[i].1, inner.max(LEAST_ROOM)));
    let (text, _) = shortened(entries.len(), room.saturating_sub(3), part);
    format!("#{{{text}}}")
}

/// Parts from both ends, joined by commas, as many as fit; and whether some were left out.
fn shortened(count: usize, room: usize, part: impl Fn(usize) -> String) -> (String, bool) {
    let (mut left, mut right): (Vec<String>, Vec<String>) = (Vec::new(), Vec::new());
    let mut used = 0;
    while left.len() + right.len() < count {
        let from_left = left.len() <= right.len();
        let i = if from_left { left.len() } else { count - 1 - right.len() };
        let text = part(i);
        let is_last = left.len() + right.len() + 1 == count;
        // ", …" must fit behind, unless nothing is left out
        used += text.chars().count() + 2;
        if used > room.saturating_add(if is_last { 2 } else { 0 }).saturating_sub(if is_last { 0 } else { 3 })
            && !left.is_empty()
        {
            right.reverse();
            left.push("…".into());
            left.extend(right);
            return (left.join(", "), true);
        }
        if from_left { left.push(text) } else { right.push(text) }
    }
    right.reverse();
    left.extend(right);
    (left.join(", "), false)
}

/// The entries of a map, one a line.
fn below_each_other(engine: &Engine, map: &Map, columns: usize) -> String {
    let width = map.keys().map(|name| name.chars().count()).max().unwrap_or(0).min(columns / 2);
    let room = columns.saturating_sub(width + 5).max(LEAST_ROOM);
    let line = |(name, value): (&str, &Dynamic)| {
        format!("  {:width$}  {}\n", format!("{name}:"), short(engine, value, room), width = width + 1)
    };
    let entries: Vec<(&str, &Dynamic)> = map.iter().map(|(name, value)| (name.as_str(), value)).collect();
    let half = MOST_ENTRIES / 2;
    let lines: String = if entries.len() <= MOST_ENTRIES {
        entries.into_iter().map(line).collect()
    } else {
        let (first, last) = (&entries[..half], &entries[entries.len() - half..]);
        let left_out = format!("  … {} more\n", entries.len() - 2 * half);
        first.iter().copied().map(line).chain([left_out]).chain(last.iter().copied().map(line)).collect()
    };
    format!("#{{\n{lines}}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(script: &str, columns: usize) -> String {
        let engine = Engine::new();
        answer(&engine, &engine.eval::<Dynamic>(script).unwrap(), columns)
    }

    #[test]
    fn short_values_are_shown_whole() {
        assert_eq!(shown("42", 80), "42");
        assert_eq!(shown("\"a\\nb\"", 80), "a\nb");
        assert_eq!(shown("[1, 2.50, \"x\", [], ()]", 80), "[1, 2.5, \"x\", [], ()]");
        assert_eq!(shown("#{ a: 1, b: 1.0 / 3.0 }", 80), "#{a: 1, b: 0.333333}");
        assert_eq!(shown("[1e-9, 123456789.0, -0.5]", 80), "[1.00000e-9, 1.23457e8, -0.5]");
    }

    #[test]
    fn long_arrays_are_short_in_the_middle() {
        let text = shown("let a = []; for i in 0..1000 { a.push(i); } a", 40);
        assert!(text.starts_with("[0, 1, ") && text.ends_with(", 999] (1000 items)"), "{text}");
        assert!(text.contains(", …, ") && text.chars().count() <= 40, "{text}");
        let nested = shown("let a = []; a.pad(500, 0); [a, a, 1]", 60);
        assert!(nested.chars().count() <= 60 && nested.contains("(500 items)"), "{nested}");
    }

    #[test]
    fn long_maps_have_a_line_for_each_entry() {
        let text = shown("#{ first: \"a long text that fills\", second: [1, 2, 3], third: #{ a: 1 } }", 30);
        assert_eq!(text.lines().count(), 5, "{text}");
        assert!(text.contains("  second:  [1, 2, 3]\n"), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 30), "{text}");
        let many = shown("let m = #{}; for i in 0..100 { m[`k${i}`] = i; } m", 60);
        assert!(many.contains("… 60 more") && many.lines().count() == 43, "{many}");
    }
}
