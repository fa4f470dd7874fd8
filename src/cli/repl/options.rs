//! The options of a function, out of what its comment says of them.
//!
//! Comments list them for people: `` * `seed` (default 0): of the random poses; `max_shift` (Å, default 0): … ``. An option is a name in backticks that
//! begins a clause or follows another option, or one whose default is told in brackets behind it.

use crate::script::lex::is_of_name;

/// One option.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Choice {
    pub name: String,
    /// Unit and default, as the comment says them: `Å, default 0`.
    pub about: String,
    /// What else the comment says.
    pub text: String,
}

impl Choice {
    /// Unit, default and meaning on one line.
    pub fn line(&self) -> String {
        let parts = [self.about.as_str(), self.text.as_str()].into_iter().filter(|part| !part.is_empty());
        parts.collect::<Vec<_>>().join(": ")
    }

    /// The words it may be, where it is one of a few.
    pub fn words(&self) -> Vec<String> {
        let line = self.line();
        let quoted = line.split('"').skip(1).step_by(2);
        let is_word = |word: &&str| !word.is_empty() && word.chars().all(is_of_name);
        quoted.filter(is_word).map(str::to_owned).collect()
    }
}

/// The options that a comment lists, without the names in `parameters`, which are parameters of the function itself.
pub fn listed(doc: &str, parameters: &[&str]) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    for item in items(doc) {
        let mut of_item = choices_of(&item);
        // names that share one bracket
        for i in (1..of_item.len()).rev() {
            if of_item[i - 1].about.is_empty() && of_item[i - 1].text.is_empty() {
                (of_item[i - 1].about, of_item[i - 1].text) = (of_item[i].about.clone(), of_item[i].text.clone());
            }
        }
        let new = |choice: &Choice| !parameters.contains(&choice.name.as_str());
        for choice in of_item.into_iter().filter(new) {
            if !choices.iter().any(|known| known.name == choice.name) {
                choices.push(choice);
            }
        }
    }
    choices
}

/// The functions whose options are options of this one too: ``options as of `model::strain` ``.
pub fn inherited(doc: &str) -> Vec<&str> {
    let marks = [
        "ptions as of `",
        "ptions as for `",
        "ptions as for the multislice method of `",
        "`options`: see `",
        "`options`: those of `",
    ];
    let after = marks.iter().flat_map(|mark| doc.split(mark).skip(1));
    after.filter_map(|rest| rest.split('`').next()).collect()
}

/// The items of the lists in a comment, each on one line.
fn items(doc: &str) -> Vec<String> {
    let mut items: Vec<String> = Vec::new();
    let mut inside = false;
    for line in doc.lines() {
        if let Some(rest) = line.strip_prefix("* ") {
            items.push(rest.to_owned());
            inside = true;
        } else if line.trim().is_empty() {
            inside = false;
        } else if let Some(last) = items.last_mut().filter(|_| inside) {
            last.push(' ');
            last.push_str(line.trim());
        }
    }
    items
}

/// The options of one item.
fn choices_of(item: &str) -> Vec<Choice> {
    // "options, each only if it is given: `images`, …"
    let heading = item.split_once(": ").filter(|(heading, _)| !heading.contains('`'));
    let item = heading.map_or(item, |(_, rest)| rest);
    let mut choices: Vec<Choice> = Vec::new();
    let mut depth = 0_usize;
    // what stands between the last option, or the beginning of the clause, and here
    let mut between = String::new();
    let mut at = 0;
    while let Some(c) = item[at..].chars().next() {
        let rest = &item[at..];
        if let Some(name) = quoted_name(rest).filter(|_| depth == 0) {
            let after = &rest[name.len() + 2..];
            let bracket = bracket_behind(after);
            let begins = matches!(between.trim(), "" | "," | "and" | ", and" | "or" | "*") && stands_alone(after);
            let told = bracket
                .is_some_and(|(_, bracket)| ["default", "must be", "needed"].iter().any(|word| bracket.contains(word)));
            if begins || told {
                let (skipped, about) = bracket.unwrap_or((0, ""));
                choices.push(Choice { name: name.into(), about: about.into(), text: String::new() });
                at += name.len() + 2 + skipped;
                between.clear();
                continue;
            }
        }
        if let Some(text) = rest.strip_prefix('`') {
            // anything else in backticks is a word of its own
            let end = text.find('`').map_or(rest.len(), |end| end + 2);
            between.push_str(&rest[..end]);
            tell(&mut choices, &rest[..end]);
            at += end;
            continue;
        }
        match c {
            '(' | '[' => depth += 1,
            ')' | ']' => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 && (c == ';' || rest.starts_with(". ")) {
            between.clear();
        } else {
            between.push(c);
        }
        tell(&mut choices, &rest[..c.len_utf8()]);
        at += c.len_utf8();
    }
    for choice in &mut choices {
        let told = choice.text.trim_start_matches([':', ',', ' ']).trim_end_matches([',', ' ', '.', ';', '*']);
        choice.text = told.strip_suffix(" and").unwrap_or(told).trim().to_owned();
    }
    choices
}

fn tell(choices: &mut [Choice], text: &str) {
    if let Some(last) = choices.last_mut() {
        last.text.push_str(text);
    }
}

/// The name between backticks that a text begins with.
fn quoted_name(rest: &str) -> Option<&str> {
    let (name, _) = rest.strip_prefix('`')?.split_once('`')?;
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase()) && name.chars().all(is_of_name);
    is_name.then_some(name)
}

/// Length up to the end of the bracket that follows a name, also behind a few words (``of the mask``), and what is in it.
fn bracket_behind(after: &str) -> Option<(usize, &str)> {
    let open = after.find('(')?;
    let words = &after[..open];
    if !(words == " " || words.starts_with(" of ") && !words.contains([',', ';', ':', '`'])) {
        return None;
    }
    let mut depth = 0_usize;
    for (i, c) in after[open..].char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((open + i + 1, &after[open + 1..open + i]));
        }
    }
    None
}

/// Whether a name that begins a clause is what the clause is about, not a word of its sentence.
fn stands_alone(after: &str) -> bool {
    after.is_empty()
        || after.starts_with([',', ':', ';', '.'])
        || [" (", " of ", " and `", " on "].iter().any(|start| after.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(doc: &str, parameters: &[&str]) -> Vec<String> {
        listed(doc, parameters).into_iter().map(|choice| choice.name).collect()
    }

    #[test]
    fn options_are_found_in_the_ways_comments_list_them() {
        let doc = "Adds.\n\n* `images`: a stack;\n* `snr` (must be given): of `x`; `size` (pixels, default 160) and `step` (Å, default 1): of it.\n\
                   * options: `radius` of the mask (Å, default 4), not `other`; `a`, `c` (Å, needed): constants;\n  `fit` is a word; `kind` (default\n  \"b\", or \"d\"). \
                   `title`.\n\nGives `map`.";
        assert_eq!(names(doc, &["images"]), ["snr", "size", "step", "radius", "a", "c", "kind", "title"]);
        let choices = listed(doc, &["images"]);
        assert_eq!(choices[1].about, "pixels, default 160");
        assert_eq!(choices[4].line(), "Å, needed: constants; `fit` is a word");
        assert_eq!(choices[6].words(), ["b", "d"]);
    }

    #[test]
    fn options_of_another_function_are_taken_over() {
        assert_eq!(inherited("* `atoms`: a Model; options as of `model::strain`, and"), ["model::strain"]);
        assert_eq!(inherited("* `options`: see `defaults`."), ["defaults"]);
    }
}
