//! Scripts as HTML: words in colours, functions of the manual as links.

/// Words of the language.
const KEYWORDS: [&str; 27] = [
    "let", "const", "fn", "private", "if", "else", "switch", "for", "in", "while", "loop", "do", "until", "break",
    "continue", "return", "throw", "try", "catch", "import", "export", "as", "true", "false", "this", "global", "is",
];

/// Text without the signs that HTML reads.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A script in colours; `link` gives the page of what a word with or without a prefix names.
pub fn highlighted(script: &str, link: &dyn Fn(&str) -> Option<String>) -> String {
    let mut html = String::new();
    let mut rest = script;
    while let Some(first) = rest.chars().next() {
        let length = token_length(rest, first);
        let (token, after) = rest.split_at(length);
        html.push_str(&drawn(token, first, html_before(&html), link));
        rest = after;
    }
    html
}

/// Whether a point stands before, so that a word is a property or a method.
fn html_before(html: &str) -> bool {
    html.ends_with('.') && !html.ends_with("..")
}

fn token_length(rest: &str, first: char) -> usize {
    let until = |end: fn(char) -> bool| rest.find(end).unwrap_or(rest.len());
    match first {
        '/' if rest.starts_with("//") => until(|c| c == '\n'),
        '"' | '`' => {
            let mut escaped = false;
            let closing = rest.char_indices().skip(1).find(|(_, c)| {
                let found = *c == first && !escaped;
                escaped = *c == '\\' && !escaped;
                found
            });
            closing.map_or(rest.len(), |(at, _)| at + 1)
        }
        c if c.is_ascii_digit() => {
            let digits = until(|c| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
            rest[..digits].find("..").unwrap_or(digits).max(1)
        }
        c if c.is_alphabetic() || c == '_' => {
            until(|c| !c.is_alphanumeric() && c != '_' && c != ':').min(rest.find(": ").unwrap_or(rest.len()))
        }
        c => c.len_utf8(),
    }
}

fn drawn(token: &str, first: char, after_point: bool, link: &dyn Fn(&str) -> Option<String>) -> String {
    let text = escape(token);
    let class = match first {
        '/' if token.len() > 1 => "comment",
        '"' | '`' => "text",
        c if c.is_ascii_digit() => "number",
        c if c.is_alphabetic() && KEYWORDS.contains(&token) && !after_point => "keyword",
        c if c.is_alphabetic() => {
            let target = if after_point { link(&format!(".{token}")) } else { link(token) };
            return target.map_or(text.clone(), |target| format!("<a href=\"{target}\">{text}</a>"));
        }
        _ => return text,
    };
    format!("<span class=\"{class}\">{text}</span>")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_texts_and_links_are_told_apart() {
        let link = |name: &str| (name == "plot::fsc" || name == ".save").then(|| format!("{name}.html"));
        let html = highlighted("let x = plot::fsc(#{ a: 1.5 }).save(\"a<b\"); // \"no\"\nfor i in 0..3 {}", &link);
        for part in [
            "<span class=\"keyword\">let</span>",
            "<a href=\"plot::fsc.html\">plot::fsc</a>",
            "<a href=\".save.html\">save</a>",
            "<span class=\"number\">1.5</span>",
            "<span class=\"text\">&quot;a&lt;b&quot;</span>",
            "<span class=\"comment\">// &quot;no&quot;</span>",
            "<span class=\"number\">0</span>..<span class=\"number\">3</span>",
        ] {
            assert!(html.contains(part), "{part} is missing in {html}");
        }
    }
}
